/**
 * The composition root of the owner daemon: the only place that builds services and gives them to
 * each other. No behaviour of its own; must not be imported by anything but the daemon's serving.
 */
import { startSteps } from "../capabilities/list.ts";
import { systemDisks } from "../capabilities/system_disk.ts";
import { workDisks } from "../capabilities/work_disk.ts";
import { findMirror } from "../debian/find_mirror.ts";
import { ensureSshKey, knownHostsLine } from "../guest/ssh_keys.ts";
import { buildDebianImage } from "../images/debian_image.ts";
import { reasonOf } from "../model/errors.ts";
import type { VmId } from "../model/ids.ts";
import { silentReporter } from "../model/stages.ts";
import { listenOnLoopback } from "../net/loopback_listener.ts";
import { LoopbackPorts } from "../net/loopback_port.ts";
import { catalogBundles } from "../services/image/catalog_bundles.ts";
import { debianKernels } from "../services/image/debian_kernels.ts";
import { debianKits } from "../services/image/debian_kits.ts";
import { registryImages } from "../services/image/registry_images.ts";
import { ImageService } from "../services/image/image_service.ts";
import { Lanes } from "../services/vm/lanes/lanes.ts";
import { Leases } from "../services/vm/leases.ts";
import { VmListing } from "../services/vm/listing.ts";
import { LiveTable } from "../services/vm/live.ts";
import { HostPorts } from "../services/vm/ports/host_ports.ts";
import { VmService } from "../services/vm/vm_service.ts";
import { runtimeAssets } from "../version/runtime_assets.ts";
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
import { pause } from "../sync/pause.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** How long a process that belongs to nobody may take to end after each signal. */
const strayLimits = { quitMs: 0, terminateMs: 1_000, killMs: 5_000 };

/** Builds and wires everything; starts nothing. */
export function composeServices(deps: ServiceDeps): Promise<Services> {
  const { paths, config, store, locks, operations, processes, memory, host, signal } = deps;
  const arch = Deno.build.arch;
  const log = deps.logOf("vm");
  const vmm = new QemuVmm(processes, {}, memory);
  const ports = new LoopbackPorts();
  const live = new LiveTable();
  const ownerOf = (vm: VmId) => vmOwner(paths.uid, vm);
  const accelerations = new Accelerations({ vmm, host, paths, qemuBin: config.qemuBin });
  const sshKey = async (stop: AbortSignal) =>
    await ensureSshKey(config.sshKeyPath ?? paths.sshKey, "banger", stop);

  const debianSource = { arch, keyring, downloadsDir: paths.downloadsDir, now: deps.nowMs };
  const kernelSource = debianKernels(debianSource);
  const images = new ImageService({
    images: store.images,
    kernels: store.kernels,
    vms: store.vms,
    locks,
    paths,
    uid: paths.uid,
    arch,
    now: deps.nowMs,
    newUuid: () => crypto.randomUUID(),
    randomHex,
    mirror: (suite) => findMirror({ suite, configured: config.catalog.debianMirror ?? undefined }),
    keyring,
    proxyEnv: deps.proxyEnv,
    buildImage: buildDebianImage,
    registry: registryImages({
      blobsDir: paths.blobsDir,
      flatten: deps.flatten,
      uid: paths.uid,
      arch,
      now: deps.nowMs,
    }),
    rootfsFile: (path) => deps.host.rootfsFile(path),
    catalog: catalogBundles({
      settings: config.catalog,
      now: deps.nowMs,
      monotonicMs: deps.monotonicMs,
      revision: () => kernelSource.revision(),
    }),
    kernelSource,
    kitSource: debianKits(debianSource, runtimeAssets),
  });

  const vms = new VmService({
    store: store.vms,
    locks: {
      vm: (id, stop, body) => locks.hold("vm", id, stop, body),
      isVmBusy: (id) => locks.busy("vm", id),
      create: (stop, body) => locks.hold("create_vm", "all", stop, body),
    },
    bootSets: images,
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
    adopt: (_vm, places, stop) => adoptVm({ vmm, ports, randomHex }, places, stop),
    reconnect: (machine, stop) => reconnectAgent(machine, randomHex(16), stop),
    idsOnDisk: async () =>
      (await vmIdsOnDisk(paths.vmsDir)).filter((id) => !accelerations.isTrial(id)),
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
        await Promise.all([
          vms.reconcile({ atStart: true, dryRun: false }, silentReporter, signal),
          images.tidy().catch((error) =>
            log.warn("Leftovers of image builds stay", { error: reasonOf(error) })
          ),
        ]);
      } finally {
        reconciled.resolve();
        statsLoop?.start();
      }
    },
    close: () => {
      statsLoop?.stop();
      vms.release();
      return Promise.resolve();
    },
  });
}

/** Random bytes of the system's generator, in hexadecimal. */
function randomHex(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}
