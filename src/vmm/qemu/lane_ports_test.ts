import assert from "node:assert/strict";
import { BangerError } from "../../model/errors.ts";
import { LanePorts } from "./lane_ports.ts";
import type { QmpClient } from "./qmp_client.ts";

/** A monitor that refuses with the words of `answers`, one a call; `null` accepts. */
function monitor(answers: (string | null)[]): { client: QmpClient; asked: unknown[] } {
  const asked: unknown[] = [];
  const client = {
    execute(command: string, args: unknown) {
      asked.push([command, args]);
      const words = answers.shift() ?? null;
      return words === null ? Promise.resolve({}) : Promise.reject(
        new BangerError("internal", `Cannot run QMP command "${command}": ${words}`),
      );
    },
  } as unknown as QmpClient;
  return { client, asked };
}

Deno.test("a lane's port is plugged in once, however often it is used", async () => {
  const { client, asked } = monitor([]);
  const ports = new LanePorts(() => Promise.resolve(client));
  await Promise.all([ports.plug(4), ports.plug(4)]);
  await ports.plug(4);
  const device = {
    driver: "virtserialport",
    id: "lane4",
    chardev: "lane4",
    name: "banger.lane.4",
  };
  assert.deepEqual(asked, [["device_add", device]]);
  await ports.plug(0);
  assert.equal(asked.length, 2);
});

Deno.test("one that an earlier daemon plugged in is there", async () => {
  const { client, asked } = monitor(["Duplicate device ID 'lane1'"]);
  const ports = new LanePorts(() => Promise.resolve(client));
  await ports.plug(1);
  await ports.plug(1);
  assert.equal(asked.length, 1);
});

Deno.test("a refusal is told, and the next use tries again", async () => {
  const { client } = monitor(["Property 'virtserialport.chardev' can't find value 'lane1'", null]);
  const ports = new LanePorts(() => Promise.resolve(client));
  await assert.rejects(ports.plug(1), /can't find value/);
  await ports.plug(1);
});
