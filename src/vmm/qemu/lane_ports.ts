import { isBangerError } from "../../model/errors.ts";
import { lanePortName } from "../../wire/lane.ts";
import type { QmpClient } from "./qmp_client.ts";

/** Name of a lane's chardev and device in QEMU. */
export function laneId(lane: number): string {
  return `lane${lane}`;
}

/** The lanes' virtio-serial ports of one VM, which are plugged in when they are first used. */
export class LanePorts {
  readonly #monitor: () => Promise<QmpClient>;
  readonly #plugged = new Map<number, Promise<void>>();

  constructor(monitor: () => Promise<QmpClient>) {
    this.#monitor = monitor;
  }

  /**
   * Makes sure that the lane's port is in the VM. The guest sees it a moment later.
   *
   * @throws BangerError as {@linkcode QmpClient.execute}
   */
  async plug(lane: number): Promise<void> {
    const known = this.#plugged.get(lane);
    if (known !== undefined) return await known;
    const plugging = this.#plug(lane);
    this.#plugged.set(lane, plugging);
    plugging.catch(() => this.#plugged.delete(lane));
    await plugging;
  }

  async #plug(lane: number): Promise<void> {
    const port = { id: laneId(lane), chardev: laneId(lane), name: lanePortName(lane) };
    try {
      await (await this.#monitor()).execute("device_add", { driver: "virtserialport", ...port });
    } catch (error) {
      // An earlier daemon did it.
      if (isBangerError(error, "internal") && /Duplicate device ID/.test(error.message)) return;
      throw error;
    }
  }
}
