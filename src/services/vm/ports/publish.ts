import { BangerError } from "../../../model/errors.ts";
import type { VmId } from "../../../model/ids.ts";
import {
  portLimits,
  type PublishedPort,
  type WantedPort,
  wantedPortText,
} from "../../../model/published_port.ts";
import type { VmRecord } from "../../../model/vm.ts";
import type { LiveVm } from "../live.ts";
import { requireVm } from "../start.ts";
import type { VmServiceDeps } from "../vm_service.ts";
import { type BoundPort, closeAll } from "./bound_port.ts";

/** The first version of the protocol whose guests connect to their ports. */
export const forwardVersion = 3;

/**
 * Publishes ports of a VM, all of `wanted` or none, and answers them with their numbers on the host. Takes
 * vmLock[id]. They are open at once when it runs, else from its next start on. One that is published already
 * stays as it is.
 *
 * @throws BangerError `conflict` when a host port is taken, `precondition` when it is root's or the guest's
 * agent is of an earlier banger, `invalid`, `not_found`
 */
export async function publishPorts(
  deps: VmServiceDeps,
  id: VmId,
  wanted: readonly WantedPort[],
  signal: AbortSignal,
): Promise<readonly PublishedPort[]> {
  return await deps.locks.vm(id, signal, async () => {
    const vm = requireVm(deps, id, "publish a port of");
    const { name } = vm.config;
    if (vm.state === "deleting") {
      throw new BangerError(
        "conflict",
        `Cannot publish a port of VM "${name}": it is being deleted`,
      );
    }
    const live = deps.live.get(id);
    if (live !== undefined) checkAgent(vm, live);
    const open = new Set(live?.ports.list().filter(isPublished).map(({ hostPort }) => hostPort));
    const known = wanted.map((port) => vm.published.find((other) => isSame(other, port)));
    checkCount(name, [...vm.published, ...wanted.filter((_, at) => known[at] === undefined)]);
    // Recorded but taken by another program when the daemon came back: it is tried again.
    const isOpen = (port: PublishedPort) => live === undefined || open.has(port.hostPort);
    const missing = wanted.flatMap((port, at) => {
      const same = known[at];
      return same === undefined ? [port] : isOpen(same) ? [] : [same];
    });
    for (const port of missing) live?.autoPorts?.giveWay(port);
    try {
      const bound = await bindAndRecord(deps, vm, missing, signal);
      for (const port of bound) {
        if (live === undefined) port.close();
        else live.ports.open(port, "published");
      }
      const made = bound.map(({ port }) => port).values();
      return known.map((same) => same !== undefined && isOpen(same) ? same : made.next().value!);
    } finally {
      live?.autoPorts?.look();
    }
  });
}

/** Holds ports for a VM and puts them into its row, all or none. */
async function bindAndRecord(
  deps: VmServiceDeps,
  { id, config: { name }, published }: VmRecord,
  wanted: readonly WantedPort[],
  signal: AbortSignal,
): Promise<readonly BoundPort[]> {
  return await deps.locks.create(signal, async () => {
    const bound = await deps.hostPorts.bind({ id, name }, wanted);
    try {
      deps.store.update(id, { published: merge(published, bound.map(({ port }) => port)) });
      return bound;
    } catch (error) {
      closeAll(bound);
      throw error;
    }
  });
}

/**
 * Takes published ports back; one without a host port means all of the guest's. Connections through them are
 * reset. Takes vmLock[id].
 *
 * @throws BangerError `not_found` when one is not published; nothing is changed then
 */
export async function unpublishPorts(
  deps: VmServiceDeps,
  id: VmId,
  unwanted: readonly WantedPort[],
  signal: AbortSignal,
): Promise<readonly PublishedPort[]> {
  return await deps.locks.vm(id, signal, () => {
    const vm = requireVm(deps, id, "take back a port of");
    const removed = new Set<PublishedPort>();
    for (const port of unwanted) {
      const found = vm.published.filter((other) => isSame(other, port));
      for (const one of found) removed.add(one);
      if (found.length > 0) continue;
      throw new BangerError(
        "not_found",
        `Cannot take back port ${
          wantedPortText(port)
        } of VM "${vm.config.name}": it is not published`,
        { hint: `banger vm ports ${vm.config.name} shows which are` },
      );
    }
    deps.store.update(id, { published: vm.published.filter((port) => !removed.has(port)) });
    const live = deps.live.get(id);
    for (const { hostPort } of removed) live?.ports.close(hostPort);
    live?.autoPorts?.look();
    return Promise.resolve([...removed]);
  });
}

/** @throws BangerError `invalid` when they are too many, or one host port stands there twice */
export function checkCount(name: string, ports: readonly WantedPort[]): void {
  const cannot = `Cannot publish ports of VM "${name}":`;
  if (ports.length > portLimits.published) {
    throw new BangerError("invalid", `${cannot} they would be more than ${portLimits.published}`);
  }
  const seen = new Set<number>();
  for (const { hostPort } of ports) {
    if (hostPort === null) continue;
    if (seen.has(hostPort)) {
      throw new BangerError(
        "invalid",
        `${cannot} port ${hostPort} of the host can lead to one only`,
      );
    }
    seen.add(hostPort);
  }
}

function checkAgent({ config: { name } }: VmRecord, { session }: LiveVm): void {
  if (session.welcome.version >= forwardVersion) return;
  throw new BangerError(
    "precondition",
    `Cannot publish a port of VM "${name}": it was started by an earlier version of banger`,
    { hint: `banger vm stop ${name} && banger vm start ${name}` },
  );
}

function isPublished({ reason }: { readonly reason: string }): boolean {
  return reason === "published";
}

function isSame(port: PublishedPort, wanted: WantedPort): boolean {
  return port.guestPort === wanted.guestPort &&
    (wanted.hostPort === null || wanted.hostPort === port.hostPort);
}

/** By host port, each once. */
function merge(
  published: readonly PublishedPort[],
  more: readonly PublishedPort[],
): readonly PublishedPort[] {
  const all = new Map([...published, ...more].map((port) => [port.hostPort, port]));
  return [...all.values()].sort((a, b) => a.hostPort - b.hostPort);
}
