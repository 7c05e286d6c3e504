import { connectAgent } from "../guest/agent_client.ts";
import type { AgentSession } from "../guest/agent_session.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import { signOfLife, timerComplaint } from "../guest/kit_init.ts";
import {
  maxStartAttempts,
  type StartStep,
  type StepContext,
  unsoundMachineCode,
} from "../services/vm/contract.ts";
import type { ProcessExit } from "../process/host_processes.ts";
import type { Machine } from "../vmm/contract.ts";

/** What {@linkcode agentStep} needs. */
export interface AgentDeps {
  /** How long a guest may take from the start of its kernel until its agent answers. */
  readonly bootTimeoutMs: number;
  /** How long an emulated guest may take until its first program runs; that long again in each further attempt. */
  readonly lifelessAfterMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** `bytes` random bytes in hexadecimal. */
  readonly randomHex: (bytes: number) => string;
}

/** How long the home directory of an image may take to be copied to a new work disk. */
const homeCopyTimeoutMs = 10 * 60_000;

/** How much of the console goes into the error of a guest that never became ready. */
const consoleTailBytes = 2048;

/** How much of the console is looked through for a sign of life. */
const signOfLifeWithinBytes = 64 * 1024;

/** How long the end of a VMM may take to be noticed after its link broke. */
const endNoticedMs = 2_000;

/**
 * Waits for the guest's agent, which is what "ready" means, and tells it who the guest is: by then that
 * is applied already, where it came with the initrd.
 */
export function agentStep(deps: AgentDeps): StartStep {
  return {
    name: "agent",
    dependsOn: ["machine", "identity"],
    async start(context) {
      const { machine } = context.facts;
      if (machine === null) throw new Error("no machine was started");
      context.facts.isBooting = true;
      const session = await context.reporter.stage(
        { id: "vm.boot", title: "Booting" },
        () => connect(deps, machine, context),
      );
      context.facts.session = session;
      await context.reporter.stage(
        { id: "vm.identity", title: "Setting up the guest" },
        async () => {
          const { identity } = context.facts;
          if (identity === null) throw new Error("no identity was made");
          const now = { ...identity, clockMs: deps.now() };
          const { signal } = context;
          const bound = identity.workDisk === null ? {} : { timeoutMs: homeCopyTimeoutMs };
          await session.identity(now, { signal, ...bound });
        },
      );
    },
    stop: () => Promise.resolve(),
  };
}

async function connect(
  deps: AgentDeps,
  machine: Machine,
  context: StepContext,
): Promise<AgentSession> {
  const died = new AbortController();
  // Let go of, it never ends: nobody is to be told then.
  machine.ended.then(() => died.abort(new Error("the VMM ended")), () => {});
  const signal = AbortSignal.any([context.signal, died.signal]);
  const lifeless = watchForLife(deps, machine, context);
  try {
    const link = await machine.openAgentLink(signal);
    return await connectAgent(link, {
      fresh: true,
      nonce: deps.randomHex(16),
      signal: AbortSignal.any([signal, lifeless.signal]),
      timeoutMs: deps.bootTimeoutMs,
    });
  } catch (cause) {
    if (context.signal.aborted) throw context.signal.reason;
    if (lifeless.signal.aborted) throw lifeless.signal.reason;
    throw await neverReady(deps, machine, context, cause);
  } finally {
    lifeless.stop();
  }
}

/**
 * Aborts when the guest has shown no sign of its first program after `lifelessAfterMs`: an emulated kernel that
 * measured its timer far too fast is so busy with interrupts that it gets nowhere. The last attempt
 * has the whole boot timeout.
 */
function watchForLife(
  deps: AgentDeps,
  machine: Machine,
  { vm, attempt, facts }: StepContext,
): { readonly signal: AbortSignal; stop(): void } {
  const lifeless = new AbortController();
  const afterMs = deps.lifelessAfterMs * attempt;
  if (attempt >= maxStartAttempts || facts.accelerator !== "tcg") {
    return { signal: lifeless.signal, stop() {} };
  }
  const timer = setTimeout(async () => {
    const printed = await machine.readConsole(signOfLifeWithinBytes).catch(() => null);
    // What cannot be told counts as life.
    if (printed === null || new TextDecoder().decode(printed).includes(signOfLife)) return;
    lifeless.abort(
      unsound(vm.config.name, `its kernel did not get anywhere in ${afterMs / 1000} s`),
    );
  }, afterMs);
  return { signal: lifeless.signal, stop: () => clearTimeout(timer) };
}

function unsound(name: string, what: string): BangerError {
  return new BangerError("unavailable", `Cannot start VM "${name}": ${what}`, {
    code: unsoundMachineCode,
    hint: `the host is very busy: try again, or banger vm logs ${name} shows its console`,
  });
}

async function neverReady(
  deps: AgentDeps,
  machine: Machine,
  context: StepContext,
  cause: unknown,
): Promise<BangerError> {
  const name = context.vm.config.name;
  const timedOut = isBangerError(cause, "timeout");
  // The link breaks a moment before the end of the VMM is known, and what it printed last is on disk.
  const exit = timedOut ? null : await endWithin(machine, endNoticedMs);
  const tail = new TextDecoder().decode(await machine.readConsole(consoleTailBytes));
  if (tail.includes(timerComplaint)) {
    return unsound(name, "its kernel measured the emulated timer wrong, as one may on a busy host");
  }
  const seconds = Math.round(deps.bootTimeoutMs / 1000);
  const state = exit !== null
    ? `its VMM ended${
      exit.stderr.trim() === "" ? "" : `: ${exit.stderr.trim().split("\n").at(-1)}`
    }`
    : timedOut
    ? `the guest was not ready within ${seconds} s`
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new BangerError(
    timedOut ? "timeout" : "unavailable",
    `Cannot start VM "${name}": ${state}`,
    {
      hint: `banger vm logs ${name} shows its console`,
      detail: tail.trim() === ""
        ? "The guest printed nothing."
        : `End of its console:\n${tail.trim()}`,
      cause,
    },
  );
}

async function endWithin(machine: Machine, timeoutMs: number): Promise<ProcessExit | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const bound = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs);
  });
  try {
    return await Promise.race([machine.ended, bound]);
  } finally {
    clearTimeout(timer);
  }
}
