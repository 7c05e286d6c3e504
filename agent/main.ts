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
