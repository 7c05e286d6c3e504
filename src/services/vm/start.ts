import { BangerError, isBangerError, reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import { restingStates, type VmRecord, type VmState } from "../../model/vm.ts";
import {
  type BootSet,
  maxStartAttempts,
  type StartFacts,
  type StartStep,
  type StepContext,
  unsoundMachineCode,
} from "./contract.ts";
import { goLive } from "./go_live.ts";
import { keepSession } from "./keep_session.ts";
import { type BoundPort, closeAll } from "./ports/bound_port.ts";
import { portRefusal } from "./ports/port_refusal.ts";
import { preflight, type Refusal, startAll, stopAll } from "./steps.ts";
import type { VmServiceDeps } from "./vm_service.ts";
import { watchMachine } from "./watch.ts";

/** Facts before any step ran. */
export function emptyFacts(): StartFacts {
  return {
    disks: [],
    network: null,
    identity: null,
    initrdPath: null,
    machine: null,
    accelerator: null,
    isBooting: false,
    session: null,
  };
}

/**
 * Starts a VM that exists. Takes vmLock[id]. A running VM stays as it is. When the host is why it cannot be
 * started, the VM is in the state that it was in, with the reason; `failed` is one whose guest broke.
 *
 * @throws BangerError `not_found`, `precondition`, `timeout` (the guest never became ready)
 */
export async function startVm(
  deps: VmServiceDeps,
  id: VmId,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<VmRecord> {
  return await deps.locks.vm(id, signal, () => startHeld(deps, id, reporter, signal));
}

/** {@linkcode startVm} for a caller that holds vmLock[id]. */
export async function startHeld(
  deps: VmServiceDeps,
  id: VmId,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<VmRecord> {
  const vm = requireVm(deps, id, "start");
  if (vm.state === "running" && deps.live.get(id) !== undefined) return vm;
  if (vm.state === "deleting") {
    throw new BangerError("conflict", `Cannot start VM "${vm.config.name}": it is being deleted`);
  }
  if (vm.state === "resetting") throw resetCutOff("start", vm);
  const owner = { id, name: vm.config.name };
  const { bound: ports, problems } = await deps.hostPorts.hold(owner, vm.published);
  let bootSet: BootSet;
  try {
    // A port that is taken is a reason to start nothing at all.
    const refused = problems.map(portRefusal);
    bootSet = await lookedOver(deps, vm, { other: null, needsRoom: !vm.ephemeral, refused });
    deps.store.update(id, { state: "starting", failure: null });
  } catch (error) {
    closeAll(ports);
    throw error;
  }
  return await bringUp(deps, {
    vm,
    paths: deps.paths(id),
    bootSet,
    isNew: false,
    facts: emptyFacts(),
    attempt: 1,
    gitIdentity: null,
    reporter,
    signal,
  }, ports);
}

/**
 * The boot set of a VM when nothing at all is missing for its start.
 *
 * @param options `other`: what it is to boot from, in place of what it was made with; `needsRoom` as in `StartPlan`;
 * `refused`: what else was looked for and cannot be had
 * @throws BangerError `precondition` with everything that is missing; whatever building the kit throws
 */
export async function lookedOver(
  deps: VmServiceDeps,
  vm: VmRecord,
  { other, needsRoom, refused = [] }: {
    readonly other: BootSet | null;
    readonly needsRoom: boolean;
    readonly refused?: readonly Refusal[];
  },
): Promise<BootSet> {
  const found = other ?? await deps.bootSets.find(vm).catch((error: unknown) => {
    if (isBangerError(error, "precondition")) return error;
    throw error;
  });
  const isGone = found instanceof BangerError;
  const { name, memoryMib, workDiskBytes } = vm.config;
  await preflight(deps.steps, {
    ...{ name, memoryMib, workDiskBytes },
    paths: deps.paths(vm.id),
    isNew: false,
    bootSet: isGone ? null : found,
    needsRoom,
  }, isGone ? [{ error: found }, ...refused] : refused);
  if (isGone) throw found;
  return found;
}

/**
 * Runs all steps and records the VM as running, or when they did not succeed as {@linkcode notStarted} says.
 * The caller holds vmLock[id] and has stored the state `starting`. `ports` are the VM's published ones, which
 * are open when it runs, and else closed.
 */
export async function bringUp(
  deps: VmServiceDeps,
  context: StepContext,
  ports: readonly BoundPort[],
): Promise<VmRecord> {
  const { vm } = context;
  const begun = performance.now();
  let isGuests = false;
  try {
    const facts = await startUntilSound(deps.steps, context).catch((error) => {
      isGuests = context.facts.isBooting;
      throw error;
    });
    const { machine, session, accelerator } = facts;
    if (machine === null || session === null || accelerator === null) {
      throw new Error("the start steps made no machine or no session");
    }
    const live = goLive(deps, vm, { machine, session }, ports);
    const running = deps.store.update(vm.id, {
      state: "running",
      failure: null,
      startedAtMs: deps.now(),
      runtime: {
        vmm: "qemu",
        accelerator,
        sshPort: facts.network?.sshPort ?? null,
        readyAfterMs: Math.round(performance.now() - begun),
      },
    });
    watchMachine(deps, vm.id, machine);
    void keepSession(deps, vm.id, live);
    return running;
  } catch (error) {
    // A step that failed is undone already; what is left to fail is the store.
    if (deps.live.get(vm.id) !== undefined) {
      deps.live.drop(vm.id);
      await stopAll(deps.steps, vm.id, context.paths);
    }
    closeAll(ports);
    const failure = context.signal.aborted ? vm.failure : reasonOf(error);
    const broke = isGuests && !context.signal.aborted;
    deps.store.update(vm.id, { state: broke ? "failed" : notStarted(vm), failure });
    throw error;
  }
}

/** The state of a VM whose start came to nothing: the one from before, where that was one of rest. */
export function notStarted({ state, startedAtMs }: VmRecord): VmState {
  if (restingStates.includes(state)) return state;
  return startedAtMs === null ? "created" : "stopped";
}

/**
 * Runs all steps, and again from the beginning when this start's machine turned out to be unsound
 * ({@linkcode unsoundMachineCode}): what they had done is undone by then. Answers what the last ones gathered.
 */
async function startUntilSound(
  steps: readonly StartStep[],
  context: StepContext,
): Promise<StartFacts> {
  for (let { attempt, facts } = context;; attempt++, facts = emptyFacts()) {
    try {
      await startAll(steps, { ...context, attempt, facts });
      return facts;
    } catch (error) {
      const again = isBangerError(error) && error.code === unsoundMachineCode;
      if (!again || attempt >= maxStartAttempts) throw error;
      context.reporter.notice(`Starting it again: ${reasonOf(error).replace(/^[^:]*: /, "")}`);
    }
  }
}

/** What is said of a VM whose reset was cut off and could not be carried on. */
export function resetCutOff(verb: string, { config }: VmRecord): BangerError {
  const { name } = config;
  return new BangerError("conflict", `Cannot ${verb} VM "${name}": its reset was cut off`, {
    hint: `banger vm reset --force ${name} carries it on`,
  });
}

/** @throws BangerError `not_found` */
export function requireVm(deps: VmServiceDeps, id: VmId, verb: string): VmRecord {
  const vm = deps.store.find(id);
  if (vm !== undefined) return vm;
  throw new BangerError("not_found", `Cannot ${verb} VM "${id}": it was deleted meanwhile`);
}
