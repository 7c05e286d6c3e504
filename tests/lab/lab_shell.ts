/**
 * Boots a lab host to look around in by hand, prints how to reach it, and ends it on Ctrl-C.
 *
 * usage: deno run --allow-all tests/lab/lab_shell.ts
 */
import { labOptions } from "./lab_options.ts";
import { LabHost } from "./lab_host.ts";

await using lab = await LabHost.boot(await labOptions());
Deno.stdout.writeSync(new TextEncoder().encode(`${lab.sshCommand}\n`));
const interrupted = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => interrupted.resolve());
}
// The emulated computer has a bound of its own; this only keeps the process.
const keep = setInterval(() => {}, 60_000);
await interrupted.promise;
clearInterval(keep);
