import { BangerError } from "../../model/errors.ts";
import { newId, type VmId } from "../../model/ids.ts";
import type { Labels } from "../../model/labels.ts";
import { publishAddress, type PublishedPort, type WantedPort } from "../../model/published_port.ts";
import type { StageReporter } from "../../model/stages.ts";
import { type VmConfig, vmLimits, type VmRecord } from "../../model/vm.ts";
import type { BootSet, StepContext } from "./contract.ts";
import { deleteHeld } from "./delete.ts";
import { freeName } from "./free_name.ts";
import { gibText } from "./gib_text.ts";
import { type BoundPort, closeAll } from "./ports/bound_port.ts";
import { portRefusal } from "./ports/port_refusal.ts";
import { checkCount } from "./ports/publish.ts";
import { bringUp, emptyFacts } from "./start.ts";
import { cleanupAll, preflight, prepareAll } from "./steps.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/** What was asked for; `null` takes the default. */
export interface CreateRequest {
  readonly name: string | null;
  readonly image: string | null;
  readonly kernel: string | null;
  readonly cpus: number | null;
  readonly memoryMib: number | null;
  readonly diskBytes: number | null;
  /** Bytes; 0: none. An ephemeral VM has none, whatever is configured. */
  readonly workDiskBytes: number | null;
  readonly labels: Labels;
  readonly autoStopMs: number | null;
  readonly publish: readonly WantedPort[];
  readonly autoPorts: boolean;
  readonly workspace: string | null;
  readonly ephemeral: boolean;
  readonly start: boolean;
  readonly imageDefaults: boolean;
  readonly gitIdentity: { readonly name: string; readonly email: string } | null;
  /** Told the id as soon as the row exists, so that a lease can be tied to it. */
  readonly onReserved?: (id: VmId) => void;
}

/**
 * Creates a VM: preflight → boot set (pulled on a miss) → row → steps. Cancelled, or failed for a reason of the
 * host's, nothing of it is left; when its guest broke, a VM that is not ephemeral stays as
 * `failed`, with its console to read. Until it is done its row is ephemeral: when the daemon dies
 * on the way, the next one removes what there is.
 */
export async function createVm(
  deps: VmServiceDeps,
  request: CreateRequest,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<VmRecord> {
  // Asked for early so that a taken name costs no download; asked again under the lock.
  if (request.name !== null) checkFree(deps, request.name);
  checkCount(nameFor(request), request.publish);
  const owner = { id: null, name: nameFor(request) };
  const { bound, problems } = await deps.hostPorts.hold(owner, request.publish);
  closeAll(bound);
  const image = request.image ?? deps.defaults.image;
  const kernel = request.kernel ?? deps.defaults.kernel;
  const id = newId<VmId>();
  await preflight(deps.steps, {
    name: request.name,
    paths: deps.paths(id),
    memoryMib: request.memoryMib ?? deps.defaults.memoryMib,
    workDiskBytes: 0,
    isNew: true,
    bootSet: null,
    needsRoom: !request.ephemeral,
  }, problems.map(portRefusal));
  const bootSet = await deps.bootSets.ensure(image, kernel, reporter, signal);
  const diskBytes = diskSize(request.diskBytes ?? deps.defaults.diskBytes, bootSet);
  const workDiskBytes = workDiskSize(deps, request, bootSet);
  // Held before there is a row: nobody's verb comes in between.
  return await deps.locks.vm(id, signal, async () => {
    const [vm, ports] = await deps.locks.create(signal, async () => {
      const ports = await deps.hostPorts.bind({ id, name: nameFor(request) }, request.publish);
      try {
        const config = {
          image: bootSet.image.name,
          kernel: bootSet.kernel.name,
          cpus: request.cpus ?? deps.defaults.cpus,
          memoryMib: request.memoryMib ?? deps.defaults.memoryMib,
          diskBytes,
          workDiskBytes,
        };
        const published = ports.map(({ port }) => port);
        return [insertRow(deps, id, request, config, bootSet, published), ports] as const;
      } catch (error) {
        closeAll(ports);
        throw error;
      }
    });
    tellChosen(request, ports, reporter);
    request.onReserved?.(vm.id);
    const context: StepContext = {
      vm,
      paths: deps.paths(vm.id),
      bootSet,
      isNew: true,
      facts: emptyFacts(),
      attempt: 1,
      gitIdentity: request.gitIdentity,
      reporter,
      signal,
    };
    try {
      if (request.start) await bringUp(deps, context, ports);
      else {
        closeAll(ports);
        await prepareAll(deps.steps, context);
      }
      return keep(deps, vm.id, request);
    } catch (error) {
      // One that runs could only not be recorded as what was asked for.
      const isFailed = deps.store.find(vm.id)?.state === "failed";
      const stays = isFailed && !signal.aborted && !request.ephemeral;
      if (stays) keep(deps, vm.id, request);
      else await rollBack(deps, vm.id, reporter);
      throw error;
    }
  });
}

function checkFree(deps: VmServiceDeps, name: string): void {
  if (deps.store.findByName(name) !== undefined) {
    throw new BangerError("conflict", `Cannot create VM "${name}": the name is taken`, {
      hint: `banger vm delete ${name}, or choose another name with --name`,
    });
  }
}

function diskSize(asked: number | null, bootSet: BootSet): number {
  const least = Math.max(bootSet.image.virtualBytes, vmLimits.diskBytes.lowest);
  if (asked === null) return least;
  if (asked >= bootSet.image.virtualBytes) return asked;
  throw new BangerError(
    "invalid",
    `Cannot use a disk of ${gibText(asked)}: image "${bootSet.image.name}" needs ${gibText(least)}`,
    { hint: `Leave --disk out, or give at least ${Math.ceil(least / 1024 ** 3)}G (it is sparse)` },
  );
}

/** Nothing of an ephemeral VM is kept, and its start is to be as short as it can be. */
function workDiskSize(
  deps: VmServiceDeps,
  { ephemeral, workDiskBytes: asked }: CreateRequest,
  { image }: BootSet,
): number {
  const wanted = ephemeral ? 0 : asked ?? deps.defaults.workDiskBytes;
  const least = image.workSeed?.virtualBytes ?? 0;
  if (wanted === 0 || wanted >= least) return wanted;
  if (asked === null) return least;
  throw new BangerError(
    "invalid",
    `Cannot use a work disk of ${gibText(asked)}: the seed of image "${image.name}" needs ` +
      gibText(least),
    { hint: "Leave --work-disk out, or give more (it is sparse)" },
  );
}

function insertRow(
  deps: VmServiceDeps,
  id: VmId,
  request: CreateRequest,
  config: Omit<VmConfig, "name">,
  bootSet: BootSet,
  ports: readonly PublishedPort[],
): VmRecord {
  const taken = new Set(deps.store.list().map((vm) => vm.config.name));
  if (request.name !== null) checkFree(deps, request.name);
  const vm: VmRecord = {
    id,
    config: { ...config, name: request.name ?? freeName(request.workspace, taken) },
    state: request.start ? "starting" : "created",
    failure: null,
    ephemeral: true,
    createdAtMs: deps.now(),
    startedAtMs: null,
    runtime: null,
    workspace: request.workspace,
    imageDefaults: request.imageDefaults,
    imageDigest: bootSet.image.digest,
    kernelDigest: bootSet.kernel.digest,
    labels: request.labels,
    autoStopMs: request.autoStopMs,
    command: null,
    published: ports.toSorted((a, b) => a.hostPort - b.hostPort),
    autoPorts: request.autoPorts,
  };
  deps.store.insert(vm);
  return vm;
}

/** Says which host ports were chosen, where they are not the guest's. */
function tellChosen(
  request: CreateRequest,
  ports: readonly BoundPort[],
  reporter: StageReporter,
): void {
  for (const [at, { port: { hostPort, guestPort } }] of ports.entries()) {
    if (request.publish[at]!.hostPort !== null || hostPort === guestPort) continue;
    reporter.notice(`Port ${guestPort} of the guest is ${publishAddress}:${hostPort} here`);
  }
}

/** What it is called in errors that come before its name is chosen. */
function nameFor({ name, workspace }: CreateRequest): string {
  return name ?? workspace ?? "vm";
}

/** From now on it is what was asked for. */
function keep(deps: VmServiceDeps, id: VmId, { ephemeral }: CreateRequest): VmRecord {
  return deps.store.update(id, { ephemeral });
}

async function rollBack(deps: VmServiceDeps, id: VmId, reporter: StageReporter): Promise<void> {
  if (deps.live.get(id) !== undefined) {
    return await deleteHeld(deps, id, reporter, new AbortController().signal);
  }
  await cleanupAll(deps.steps, id, deps.paths(id));
  deps.store.delete(id);
}
