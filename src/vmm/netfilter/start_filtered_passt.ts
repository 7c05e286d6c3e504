import type { LoopbackPorts } from "../../net/loopback_port.ts";
import type { MacAddress } from "../../net/mac_address.ts";
import type { HostProcesses } from "../../process/host_processes.ts";
import { type PasstHandle, type PasstSpec, startPasst, stopPasst } from "../passt/start_passt.ts";
import { type NetFilterHandle, startNetFilter, stopNetFilter } from "./start_net_filter.ts";

/** What {@linkcode startFilteredPasst} needs besides. */
export interface FilteredPasstSpec extends PasstSpec {
  /** Where QEMU will connect. */
  readonly socketPath: string;
  readonly passtSocketPath: string;
  readonly mac: MacAddress;
}

/**
 * Starts passt and the net filter in front of it, both at once: the filter needs passt only when QEMU
 * has connected. Undoes everything when one fails or `signal` aborts.
 *
 * @throws BangerError as {@linkcode startPasst} and {@linkcode startNetFilter} do
 */
export async function startFilteredPasst(
  processes: HostProcesses,
  ports: LoopbackPorts,
  spec: FilteredPasstSpec,
  signal: AbortSignal,
): Promise<{ readonly passt: PasstHandle; readonly filter: NetFilterHandle }> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const starting = [
    startPasst(processes, ports, spec, either),
    startNetFilter(processes, spec, either),
  ] as const;
  try {
    const [passt, filter] = await Promise.all(starting);
    return { passt, filter };
  } catch (error) {
    failed.abort();
    const [passt, filter] = await Promise.allSettled(starting);
    if (filter.status === "fulfilled") await stopNetFilter(processes, filter.value);
    if (passt.status === "fulfilled") {
      await stopPasst(processes, passt.value);
      ports.release(passt.value.forwards.map(({ hostPort }) => hostPort));
    }
    throw error;
  }
}
