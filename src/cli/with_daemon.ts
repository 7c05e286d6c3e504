import type { CliContext, DaemonPort } from "./context.ts";

/** Connects to the daemon (starting it when none runs), runs `body`, closes. */
export async function withDaemon<T>(
  context: CliContext,
  body: (client: DaemonPort) => Promise<T>,
  start: "on_demand" | "never" = "on_demand",
): Promise<T> {
  const client = await context.connect({ start });
  try {
    return await body(client);
  } finally {
    client.close();
  }
}
