/**
 * The composition root of the owner daemon: the only place that builds services and gives them to
 * each other. No behaviour of its own; must not be imported by anything but the daemon's serving.
 */
import { startSteps } from "../capabilities/list.ts";
import { systemDisks } from "../capabilities/system_disk.ts";
import { workDisks } from "../capabilities/work_disk.ts";
import { ensureSshKey, knownHostsLine } from "../guest/ssh_keys.ts";
import { reasonOf } from "../model/errors.ts";
import type { Logger } from "../log/log.ts";
import type { VmId } from "../model/ids.ts";
import { silentReporter } from "../model/stages.ts";
import { listenOnLoopback } from "../net/loopback_listener.ts";
import { LoopbackPorts } from "../net/loopback_port.ts";
import { Lanes } from "../services/vm/lanes/lanes.ts";
import { Leases } from "../services/vm/leases.ts";
import { VmListing } from "../services/vm/listing.ts";
import { LiveTable } from "../services/vm/live.ts";
import { HostPorts } from "../services/vm/ports/host_ports.ts";
import { VmService } from "../services/vm/vm_service.ts";
import { ConsoleRing } from "../vmm/qemu/console_ring.ts";
import { endProcess } from "../vmm/end_process.ts";
import { QemuVmm } from "../vmm/qemu/qemu_vmm.ts";
import { laneCount } from "../wire/lane.ts";
import { Accelerations } from "./acceleration.ts";
import { adoptVm, reconnectAgent } from "./adopt_vm.ts";
import { artefactHandlers } from "./handlers/artefact_handlers.ts";
import { vmHandlers } from "./handlers/vm_handlers.ts";
import { missingForVms } from "./missing_for_vms.ts";
import type { ServiceDeps, Services } from "./service_deps.ts";
import { Reaper } from "../services/vm/usage/reaper.ts";
import { VmStats } from "../services/vm/usage/stats.ts";
import { StatsLoop } from "./stats_loop.ts";
import { vmIdsOnDisk } from "./vm_ids_on_disk.ts";
import { vmOwner } from "./vm_owner.ts";
import { once } from "../sync/once.ts";
import { pause } from "../sync/pause.ts";
import { whenPassed } from "../sync/when_passed.ts";

/** How long the first answers come before all that nobody waits for. */
const answersMs = 20;

/** How long a process that belongs to nobody may take to end after each signal. */
const strayLimits = { quitMs: 0, terminateMs: 1_000, killMs: 5_000 };

/** Builds and wires everything; starts nothing. */
export function composeServices(deps: ServiceDeps): Promise<Services> {
  const { paths, config, store, locks, operations, processes, memory, host, signal } = deps;
  const log = deps.logOf("vm");
  const vmm = new QemuVmm(processes, {}, memory);
  const ports = new LoopbackPorts();
  const live = new LiveTable();
  const ownerOf = (vm: VmId) => vmOwner(paths.uid, vm);
  const accelerations = new Accelerations({ vmm, host, paths, qemuBin: config.qemuBin });
  const sshKey = async (stop: AbortSignal) =>
    await ensureSshKey(config.sshKeyPath ?? paths.sshKey, "banger", stop);

  const answered = Promise.withResolvers<void>();
  // Behind the first answer, or before the first work on images: that of a reset which reconcile carries on comes sooner.
  const tidied = once(() => tidyUp(deps, log));
  // Most of the code, and with it node:crypto, which a daemon that only looks after VMs never needs. It
  // waits for the tidying, which takes whatever is in the staging directory for a leftover.
  const images = once(async () => {
    await tidied();
    const { composeImages } = await import("./compose_images.ts");
    return composeImages(deps, randomHex);
  });

  const vms = new VmService({
    store: store.vms,
    locks: {
      vm: (id, stop, body) => locks.hold("vm", id, stop, body),
      isVmBusy: (id) => locks.busy("vm", id),
      create: (stop, body) => locks.hold("create_vm", "all", stop, body),
    },
    bootSets: {
      ensure: async (...request) => await (await images()).ensure(...request),
      find: async (vm) => await (await images()).find(vm),
    },
    disks: systemDisks,
    workDisks: workDisks({ now: deps.nowMs, randomHex }),
    hostPorts: new HostPorts({ listen: listenOnLoopback, vms: () => store.vms.list() }),
    steps: startSteps({
      vmm,
      processes,
      ports,
      ownerOf,
      accelerator: (kernel, stop) => accelerations.of(kernel, stop),
      hostTscKhz: deps.hostTscKhz,
      missing: () => missingForVms(config.qemuBin),
      memoryProblem: (places, memoryMib) => memory.problem(places, memoryMib),
      makeHostKey: async (vmId, files, stop) => {
        const key = await ensureSshKey(files.keyPath, `banger-${vmId}`, stop);
        await Deno.writeTextFile(files.knownHostsPath, knownHostsLine(vmId, key.publicKey));
      },
      authorizedKeys: async (stop) => [(await sshKey(stop)).publicKey],
      bootTimeoutMs: config.bootTimeoutMs,
      lifelessAfterMs: 30_000,
      now: deps.nowMs,
      randomHex,
    }),
    live,
    lanesOf: (machine) =>
      new Lanes({
        open: (lane) => machine.openLane(lane),
        count: laneCount,
        monotonicMs: deps.monotonicMs,
        randomHex,
      }),
    defaults: {
      image: config.defaultImageName,
      kernel: null,
      ...config.vmDefaults,
    },
    paths: (id) => paths.vm(id),
    now: deps.nowMs,
    monotonicMs: deps.monotonicMs,
    log,
    adopt: (handles, stop) =>
      adoptVm({ vmm, ports, randomHex, consoleFrom: answered.promise }, handles, stop),
    reconnect: (machine, stop) => reconnectAgent(machine, randomHex(16), stop),
    idsOnDisk: () => vmIdsOnDisk(paths.vmsDir).filter((id) => !accelerations.isTrial(id)),
    processes: () => deps.host.vmProcesses(),
    endProcess: (process) => endProcess(processes, process, strayLimits, null),
  });

  const stats = new VmStats({
    live,
    now: deps.nowMs,
    monotonicMs: deps.monotonicMs,
    pause: (ms) => pause(ms),
  });
  const statsLoop = config.statsPollIntervalMs === null ? undefined : new StatsLoop({
    service: vms,
    stats,
    reaper: new Reaper({
      history: (id) => stats.history(id),
      defaultAfterMs: config.autoStopStaleAfterMs,
      stop: (id, reason, isUnused) => vms.stopUnused(id, reason, isUnused, silentReporter, signal),
      log,
    }),
    intervalMs: config.statsPollIntervalMs,
    log,
  });
  const leases = new Leases((id) => vms.abandon(id, silentReporter), log);
  const reconciled = Promise.withResolvers<void>();
  return Promise.resolve({
    handlers: {
      ...vmHandlers({
        service: vms,
        listing: new VmListing({
          store: store.vms,
          disks: (id) => paths.vm(id),
          monotonicMs: deps.monotonicMs,
        }),
        operations,
        leases,
        reconciled: reconciled.promise,
        runOf: (vm) => store.images.findByDigest(vm.imageDigest)?.run ?? null,
        readConsole: (vm, after, maxBytes) =>
          new ConsoleRing(paths.vm(vm.id).stateDir).readAfter(after, maxBytes),
        monotonicMs: deps.monotonicMs,
        newSessionId: () => randomHex(16),
        stats,
        sshKey: async (stop) => (await sshKey(stop)).privateKeyPath,
      }),
      ...artefactHandlers(images, operations),
      "daemon.reconcile": async ({ dryRun }, context) => {
        await reconciled.promise;
        const mode = { atStart: false, dryRun };
        return { mended: [...await vms.reconcile(mode, silentReporter, context.signal)] };
      },
      "host.acceleration": async (_params, context) => {
        const kernel = store.kernels.find(config.defaultKernelName) ?? store.kernels.list()[0];
        return {
          acceleration: kernel === undefined
            ? null
            : await accelerations.of(kernel, context.signal),
        };
      },
    },
    runningVms: () => live.size,
    start: async () => {
      try {
        await vms.reconcile({ atStart: true, dryRun: false }, silentReporter, signal);
      } finally {
        reconciled.resolve();
        whenPassed(answersMs, () => {
          answered.resolve();
          statsLoop?.start();
        });
        await tidied();
      }
    },
    close: () => {
      statsLoop?.stop();
      vms.release();
      return Promise.resolve();
    },
  });
}

/** What cannot be tidied keeps nobody from working with images. */
async function tidyUp(deps: ServiceDeps, log: Logger): Promise<void> {
  try {
    const { tidyArtefacts } = await import("./tidy_artefacts.ts");
    if (!deps.signal.aborted) await tidyArtefacts(deps);
  } catch (error) {
    log.warn("Leftovers of image builds stay", { error: reasonOf(error) });
  }
}

/** Random bytes of the system's generator, in hexadecimal. */
function randomHex(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}
