/**
 * The guest agent: answers health, identity, exec, ports, stats and shutdown over the agent link, and
 * connects to what listens in the guest.
 *
 * Owns everything that runs inside a guest. Imports only `src/wire`, no npm package and no `node:`
 * module: its start is part of every VM's start. Every file here runs as root in the guest.
 */
import { guestContext } from "./context.ts";
import { handOver } from "./hand_over.ts";
import { serveSerial } from "./serial.ts";
import { agentVersion } from "./version.ts";

const usage = "usage: banger-agent serve --stdio | version\n";

function main(args: readonly string[]): void {
  if (args[0] === "version") {
    say(Deno.stdout, `banger-agent ${agentVersion}\n`);
    return;
  }
  if (args[0] !== "serve" || args[1] !== "--stdio") {
    say(Deno.stderr, usage);
    Deno.exit(2);
  }
  // The kit's shell starts this in the background, where these two are ignored (POSIX, sh, 2.11), and what is started
  // here would ignore them as well. What has a handler is back to its default in a program that is executed.
  for (const signal of ["SIGINT", "SIGQUIT"] as const) Deno.addSignalListener(signal, () => {});
  const context = guestContext();
  context.onIdentity = () => void handOver(context);
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    say(Deno.stderr, `banger-agent: ${event.reason}\n`);
  });
  void serveSerial(context);
}

function say(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  to.writeSync(new TextEncoder().encode(text));
}

main(Deno.args);
