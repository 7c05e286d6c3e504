import assert from "node:assert/strict";
import type { VmId } from "../../model/ids.ts";
import { Leases } from "./leases.ts";

const id = "0123456789abcdef" as VmId;

function setUp() {
  const log: string[] = [];
  let listener: ((reason: "gone" | "shutdown") => void) | undefined;
  const settled = Promise.withResolvers<void>();
  let vm: VmId | undefined;
  const leases = new Leases((gone) => {
    log.push(`abandon ${gone}`);
    return Promise.resolve();
  }, { warn: (text) => log.push(text) });
  leases.hold({
    onClose: (one) => {
      listener = one;
      return () => listener = undefined;
    },
  }, { cancel: () => log.push("cancel"), settled: settled.promise, vmId: () => vm });
  return {
    log,
    leases,
    close: (reason: "gone" | "shutdown") => listener?.(reason),
    finish: async () => {
      vm = id;
      settled.resolve();
      await new Promise((resolve) => setTimeout(resolve));
    },
  };
}

Deno.test("a client that goes away cancels what it began, and its VM is abandoned", async () => {
  const { log, close, finish } = setUp();
  close("gone");
  await finish();
  assert.deepEqual(log, ["cancel", `abandon ${id}`]);
});

Deno.test("a VM that was released stays", async () => {
  const { log, leases, close, finish } = setUp();
  await finish();
  leases.release(id);
  close("gone");
  assert.deepEqual(log, []);
});

Deno.test("the end of the daemon abandons nothing", async () => {
  const { log, close, finish } = setUp();
  await finish();
  close("shutdown");
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(log, []);
});
