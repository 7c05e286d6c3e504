import { lanePortName } from "../src/wire/lane.ts";
import { readText } from "./files.ts";

const ports = "/sys/class/virtio-ports";

/** Path of a lane's device, `undefined` when this machine has no such lane. */
export function lanePort(lane: number): string | undefined {
  try {
    for (const { name } of Deno.readDirSync(ports)) {
      if (readText(`${ports}/${name}/name`)?.trim() === lanePortName(lane)) return `/dev/${name}`;
    }
  } catch {
    // No virtio-serial device.
  }
  return undefined;
}
