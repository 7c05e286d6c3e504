import type { OperationView } from "../api/operation.ts";
import type { CliContext, DaemonPort } from "./context.ts";
import { followOperation } from "./follow_operation.ts";
import { interruptible } from "./interruptible.ts";
import { StageView } from "./render/stage_view.ts";

/** Begins an operation, shows its stages and waits until it is final; Ctrl-C cancels it. */
export async function runOperation(
  context: CliContext,
  client: DaemonPort,
  begin: (signal: AbortSignal) => Promise<{ readonly operationId: string }>,
): Promise<OperationView> {
  const { err, nowMs, quiet } = context;
  const view = new StageView({ err, nowMs, silent: quiet });
  try {
    return await interruptible(context, async (signal) => {
      const { operationId } = await begin(signal);
      return await followOperation(client, operationId, (event) => view.event(event), signal);
    });
  } finally {
    view.close();
  }
}
