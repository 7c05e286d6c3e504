/**
 * The one executable: picks the role by its first words and loads only that role's code.
 *
 * Every role is behind a literal `import()`, so that the bundler puts each into files of its own and
 * a CLI call never loads the daemon's code. Only the CLI's first few lines are in this file itself:
 * each further file costs a start 0.2 ms. A Worker of banger's starts this same file.
 */
import { runCli } from "./src/cli/main.ts";

/** Exit code for "the host or this build is not in the state that the action needs". */
const preconditionExitCode = 5;

/** Runs the role that `argv` names and resolves to the exit code. */
async function runRole(argv: readonly string[]): Promise<number> {
  if (argv[0] === "daemon" && argv[1] === "run" && !argv.includes("--help")) {
    const { runDaemon } = await import("./src/daemon/main.ts");
    return await runDaemon(argv);
  }
  if (argv[0] === "net-filter" && argv[1] === "run") {
    const { runNetFilter } = await import("./src/netfilter/main.ts");
    return await runNetFilter(argv);
  }
  if (argv[0] === "flattener" && argv[1] === "run") {
    const { runFlattener } = await import("./src/flattener/main.ts");
    return await runFlattener();
  }
  if (argv[0] === "root-helper" && argv[1] === "run") {
    const words = 'banger: Cannot run "root-helper": this version has no system mode\n' +
      "hint: rootless mode needs no helper: banger vm run\n";
    await Deno.stderr.write(new TextEncoder().encode(words));
    return preconditionExitCode;
  }
  return await runCli(argv);
}

if ("WorkerGlobalScope" in globalThis) {
  if (self.name === "inflater") await import("./src/flattener/inflate_worker.ts");
  else await import("./src/daemon/worker.ts");
} else {
  Deno.exit(await runRole(Deno.args));
}
