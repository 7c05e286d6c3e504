import assert from "node:assert/strict";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import type { LiveVm } from "../services/vm/live.ts";
import type { ByteLink } from "../wire/link.ts";
import { rawOpener } from "./open_raw.ts";

const vm = { config: { name: "web" }, runtime: { bulkPort: 4242 } } as unknown as VmRecord;
const live = (vsockCid: number | null) => ({ machine: { handle: { vsockCid } } }) as LiveVm;

/** Both ways, made up; and the order in which they were gone. */
function ways(vsockFailure?: Error) {
  const gone: string[] = [];
  return {
    gone,
    open: rawOpener({
      vsock: (cid) => {
        gone.push(`vsock ${cid}`);
        return vsockFailure ? Promise.reject(vsockFailure) : Promise.resolve({} as ByteLink);
      },
      tcp: (port) => {
        gone.push(`tcp ${port}`);
        return Promise.resolve({} as ByteLink);
      },
    }),
  };
}

Deno.test("raw connections go over vsock where the VM has it, else over TCP", async () => {
  const { gone, open } = ways();
  await open(vm, live(8));
  await open(vm, live(null));
  assert.deepEqual(gone, ["vsock 8", "tcp 4242"]);
});

Deno.test("a guest that refuses is asked again, one that is silent is not", async () => {
  const refused = ways(new Deno.errors.ConnectionReset("reset by the guest"));
  const one = live(8);
  await refused.open(vm, one);
  await refused.open(vm, one);
  assert.deepEqual(refused.gone, ["vsock 8", "tcp 4242", "vsock 8", "tcp 4242"]);
  const silent = ways(new BangerError("timeout", "no answer"));
  await silent.open(vm, one);
  await silent.open(vm, one);
  await silent.open(vm, live(9));
  assert.deepEqual(silent.gone, ["vsock 8", "tcp 4242", "tcp 4242", "vsock 9", "tcp 4242"]);
});

Deno.test("a VM with neither way says so", async () => {
  const bare = { config: { name: "web" }, runtime: null } as unknown as VmRecord;
  await assert.rejects(ways().open(bare, live(null)), /VM "web" has no port of raw connections/);
});
