import type { ExecExit, ExecRequest } from "../src/wire/messages.ts";
import type { MuxStream } from "../src/wire/mux_stream.ts";
import { asUser } from "./as_user.ts";
import { ChildPipes } from "./child_pipes.ts";
import type { AgentContext } from "./context.ts";
import { ExecLanes } from "./exec_lanes.ts";
import { Failure } from "./failure.ts";
import { withHeadStart } from "./hand_over.ts";
import { forwardInput } from "./input.ts";
import { forwardOutput } from "./output.ts";
import { commandMayStart, mustWait } from "./image_ready.ts";
import { resolveExec } from "./resolve_exec.ts";
import { killGroup, signalNumber, signalOf } from "./signals.ts";

/** How long programs have between SIGHUP and SIGKILL when the host is gone. */
const hangupMs = 2000;

/**
 * Runs a program in a session and process group of its own and joins it to `stream`: channel 0 is
 * stdin and stdout, channel 1 stderr. When the stream is reset the whole group gets SIGHUP, two
 * seconds later SIGKILL.
 *
 * @throws Failure when it cannot be started
 */
export async function exec(
  context: AgentContext,
  request: ExecRequest,
  stream: MuxStream,
): Promise<ExecExit> {
  if (!request.workspace?.isNew && mustWait(context)) {
    const ended = await commandMayStart(context, stream);
    if (ended !== undefined) return ended;
  }
  const child = withHeadStart(context, () => spawn(context, request));
  const lanes = new ExecLanes(context, stream, new ChildPipes(child.pid));
  stream.onControl = (message) => {
    lanes.onControl(message);
    const signal = signalOf(message);
    if (signal !== undefined) killGroup(child.pid, signal);
  };
  let exited = false;
  let hungUp: Promise<void> | undefined;
  const status = child.status.finally(() => exited = true);
  stream.ended.then((end) => {
    if (end.how !== "reset") return;
    if (!exited) hungUp = hangUp(child.pid, status);
    void lanes.end();
  });
  if (request.stdin) void forwardInput(stream, child.stdin, lanes);
  await Promise.all([
    forwardOutput(child.stdout, stream, 0, status, lanes),
    forwardOutput(child.stderr, stream, 1, status, lanes),
  ]);
  const { code, signal } = await status;
  await hungUp;
  await lanes.end();
  return signal === null
    ? { how: "exited", code }
    : { how: "signaled", signal: signalNumber(signal, code) };
}

/**
 * Ends a process group: SIGHUP, and SIGKILL for what is left of it some time later. Settles when
 * nobody is left or SIGKILL was sent.
 */
async function hangUp(pid: number, leaderGone: Promise<unknown>): Promise<void> {
  killGroup(pid, "SIGHUP");
  // SIGCONT wakes a stopped program, and tells whether anyone is left.
  killGroup(pid, "SIGCONT");
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    killGroup(pid, "SIGKILL");
    over.resolve();
  }, hangupMs);
  leaderGone.then(() => {
    if (!killGroup(pid, "SIGCONT")) over.resolve();
  });
  await over.promise;
  clearTimeout(timer);
}

function spawn(context: AgentContext, request: ExecRequest): Deno.ChildProcess {
  const { user, cwd, ...wanted } = resolveExec(context, request);
  const { argv: [first, ...rest], env } = asUser(context, user, wanted);
  const program = wanted.argv[0];
  try {
    return new Deno.Command(first, {
      args: rest,
      cwd,
      env,
      clearEnv: true,
      stdin: request.stdin ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof Deno.errors.NotFound) {
      throw new Failure("not_found", `cannot run "${program}": its interpreter is missing`);
    }
    throw new Failure("not_executable", `cannot run "${program}": ${why}`);
  }
}
