/**
 * The services' side of the dispatch table: turns parameters into calls of a service and records
 * into views. No behaviour of its own; must not be imported by anything but `daemon/compose.ts`.
 */
import { BangerError } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { ImageRun } from "../../model/artefacts.ts";
import { activeStates, type VmRecord } from "../../model/vm.ts";
import { execOf } from "../../services/vm/image_defaults.ts";
import type { Operations } from "../../services/operation/operations.ts";
import { serveExec } from "../../services/vm/exec.ts";
import type { Leases } from "../../services/vm/leases.ts";
import type { LiveVm } from "../../services/vm/live.ts";
import { defaultStopTimeoutMs } from "../../services/vm/stop.ts";
import { portsView } from "../../services/vm/ports/ports_view.ts";
import type { VmStats } from "../../services/vm/usage/stats.ts";
import { statsViewOf } from "../../services/vm/usage/stats_view.ts";
import type { VmListing } from "../../services/vm/listing.ts";
import { disksUsed, viewOf } from "../../services/vm/view.ts";
import type { VmService } from "../../services/vm/vm_service.ts";
import { pause } from "../../sync/pause.ts";
import type { ServiceHandlers } from "../handler_table.ts";

/** What the VM handlers forward to. */
export interface VmHandlerDeps {
  readonly service: VmService;
  readonly listing: VmListing;
  readonly operations: Operations;
  readonly leases: Leases;
  /** Settles when reconcile is done: nothing is answered about VMs before. */
  readonly reconciled: Promise<void>;
  readonly readConsole: (
    vm: VmRecord,
    after: string | null,
    maxBytes: number,
  ) => Promise<{ readonly bytes: Uint8Array; readonly position: string | null }>;
  readonly monotonicMs: () => number;
  readonly stats: VmStats;
  /** What the VM's image says about programs. */
  readonly runOf: (vm: VmRecord) => ImageRun | null;
  /** 32 random hexadecimal digits. */
  readonly newSessionId: () => string;
  readonly sshKey: (signal: AbortSignal) => Promise<string>;
}

type VmHandlers = Pick<ServiceHandlers, Extract<keyof ServiceHandlers, `vm.${string}`>>;

/** How long a client waits for its ports to change before it asks again. */
const forwardsWaitMs = 30_000;

/** Handlers of every `vm.*` method. */
export function vmHandlers(deps: VmHandlerDeps): VmHandlers {
  const { service, operations } = deps;
  const used = ({ id, config }: VmRecord) => disksUsed(config.workDiskBytes, service.paths(id));
  const view = (vm: VmRecord) => viewOf(vm, used(vm));
  const onHost = (vm: VmRecord) => {
    const { system, work } = used(vm);
    return system + work;
  };
  /** Begins an operation on an existing VM whose result is the VM. */
  const onVm = async (
    method: "vm.start" | "vm.stop" | "vm.restart" | "vm.reset" | "vm.delete",
    ref: string,
    body: (
      id: VmId,
      reporter: StageReporter,
      signal: AbortSignal,
    ) => Promise<VmRecord | undefined>,
  ) => {
    await deps.reconciled;
    const { id, config } = service.find(ref);
    return {
      operationId: operations.begin({ method, subject: config.name }, async (reporter, signal) => {
        const vm = await body(id, reporter, signal);
        return { vm: vm === undefined ? null : view(vm) };
      }),
    };
  };
  return {
    "vm.list": async () => {
      await deps.reconciled;
      return deps.listing.views();
    },
    "vm.overview": async () => {
      await deps.reconciled;
      return deps.listing.overview();
    },
    "vm.show": async ({ vm }) => {
      await deps.reconciled;
      return { vm: view(service.find(vm)) };
    },
    "vm.create": async ({ lease, ...params }, { connection }) => {
      await deps.reconciled;
      let vmId: VmId | undefined;
      const settled = Promise.withResolvers<void>();
      const subject = params.name ?? params.workspace ?? "vm";
      const operationId = operations.begin(
        { method: "vm.create", subject },
        async (reporter, signal) => {
          try {
            const vm = await service.create(
              { ...params, onReserved: (id) => vmId = id },
              reporter,
              signal,
            );
            return { vm: view(vm) };
          } finally {
            settled.resolve();
          }
        },
      );
      if (lease) {
        deps.leases.hold(connection, {
          cancel: () => operations.cancel(operationId, "its client has gone"),
          settled: settled.promise,
          vmId: () => vmId,
        });
      }
      return { operationId };
    },
    "vm.release": ({ vm }) => {
      deps.leases.release(service.find(vm).id);
      return {};
    },
    "vm.start": ({ vm }) =>
      onVm("vm.start", vm, (id, reporter, signal) => service.start(id, reporter, signal)),
    "vm.stop": ({ vm, timeoutMs, force }) =>
      onVm("vm.stop", vm, (id, reporter, signal) => {
        const request = { timeoutMs: timeoutMs ?? defaultStopTimeoutMs, force };
        return service.stop(id, request, reporter, signal);
      }),
    "vm.restart": ({ vm, timeoutMs, force }) =>
      onVm("vm.restart", vm, (id, reporter, signal) => {
        const request = { timeoutMs: timeoutMs ?? defaultStopTimeoutMs, force };
        return service.restart(id, request, reporter, signal);
      }),
    "vm.reset": ({ vm, ...request }) =>
      onVm("vm.reset", vm, (id, reporter, signal) => service.reset(id, request, reporter, signal)),
    "vm.set": async ({ vm: ref, ...request }, { signal }) => {
      await deps.reconciled;
      return { vm: view(await service.set(ref, request, signal)) };
    },
    "vm.delete": ({ vm, force }) =>
      onVm("vm.delete", vm, async (id, reporter, signal) => {
        await service.delete(id, force, reporter, signal);
        return undefined;
      }),
    "vm.logs": async ({ vm: ref, maxBytes, after }) => {
      await deps.reconciled;
      // Asked for first: what is printed until the end is then in what is read.
      const vm = service.find(ref);
      const { bytes, position } = await deps.readConsole(vm, after, maxBytes);
      const more = activeStates.includes(vm.state);
      return { console: bytes.toBase64(), position, more };
    },
    "vm.health": async ({ vm: ref }, { signal }) => {
      await deps.reconciled;
      const { live } = service.running(ref);
      const begun = deps.monotonicMs();
      const health = await live.session.health({ signal });
      return { health: { ...health, answeredAfterMs: deps.monotonicMs() - begun } };
    },
    "vm.stats": async ({ vms: refs }) => {
      await deps.reconciled;
      const statsOf = async (vm: VmRecord) =>
        statsViewOf(vm, await deps.stats.measure(vm), onHost(vm));
      if (refs !== null) {
        return { stats: await Promise.all(refs.map((ref) => statsOf(service.find(ref)))) };
      }
      const running = service.list().filter(({ id }) => service.liveOf(id) !== undefined);
      const settled = await Promise.allSettled(running.map(statsOf));
      return { stats: settled.flatMap((it) => it.status === "fulfilled" ? [it.value] : []) };
    },
    "vm.stats_history": async ({ vm: ref }) => {
      await deps.reconciled;
      const vm = service.find(ref);
      const bytes = onHost(vm);
      return { stats: deps.stats.history(vm.id).map((it) => statsViewOf(vm, it, bytes)) };
    },
    "vm.ports": async ({ vm: ref }, { signal }) => {
      await deps.reconciled;
      const recorded = service.find(ref);
      if (service.liveOf(recorded.id) === undefined && recorded.published.length > 0) {
        return { ports: portsView(recorded, [], []) };
      }
      const { vm, live } = service.running(ref);
      const listening = await live.session.ports({ signal });
      return { ports: portsView(vm, listening, live.ports.list()) };
    },
    "vm.publish": async ({ vm, ports }, { signal }) => {
      await deps.reconciled;
      return { published: [...await service.publish(vm, ports, signal)] };
    },
    "vm.unpublish": async ({ vm, ports }, { signal }) => {
      await deps.reconciled;
      return { removed: [...await service.unpublish(vm, ports, signal)] };
    },
    "vm.forwards": async ({ vm: ref, after }, { signal }) => {
      await deps.reconciled;
      const { ports } = service.running(ref).live;
      if (ports.revision === after) {
        const enough = new AbortController();
        const either = AbortSignal.any([signal, enough.signal]);
        await Promise.race([ports.changed, pause(forwardsWaitMs, either)]);
        enough.abort();
      }
      return { revision: ports.revision, forwards: ports.list() };
    },
    "vm.ssh": async ({ vm: ref, command }, { signal }) => {
      await deps.reconciled;
      const { vm, live } = service.running(ref);
      const session = command === null ? null : deps.newSessionId();
      if (command !== null && session !== null) {
        checkVersion(vm, live);
        const exec = execOf({ ...command, stdin: true }, vm, deps.runOf(vm));
        await live.session.session(session, exec, { signal });
      }
      return {
        session,
        target: {
          vmId: vm.id,
          host: "127.0.0.1",
          port: service.sshPort(vm),
          user: "root",
          keyPath: await deps.sshKey(signal),
          knownHostsPath: service.paths(vm.id).knownHosts,
          workspace: vm.workspace,
        },
      };
    },
    "vm.exec": async ({ vm: ref, ...command }, context) => {
      await deps.reconciled;
      const { vm, live } = service.running(ref);
      checkVersion(vm, live);
      const exec = execOf(command, vm, deps.runOf(vm));
      context.upgrade((link) => serveExec(link, live, exec));
      return { upgraded: "banger-mux/1" };
    },
  };
}

/** The first version of the protocol whose guests know workspaces and what images say. */
const imagesVersion = 2;

/** @throws BangerError `precondition` when the guest runs the kit of an earlier banger */
function checkVersion({ config }: VmRecord, { session }: LiveVm): void {
  if (session.welcome.version >= imagesVersion) return;
  throw new BangerError(
    "precondition",
    `Cannot run a command in VM "${config.name}": it was started by an earlier version of banger`,
    { hint: `banger vm stop ${config.name} && banger vm start ${config.name}` },
  );
}
