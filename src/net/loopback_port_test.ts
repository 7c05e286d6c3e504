import assert from "node:assert/strict";
import { LoopbackPorts } from "./loopback_port.ts";
import { macAddressOf } from "./mac_address.ts";
import type { VmId } from "../model/ids.ts";

Deno.test("no port is given out twice until it is released", () => {
  const ports = new LoopbackPorts();
  const first = Array.from({ length: 30 }, () => ports.reserve());
  assert.equal(new Set(first).size, 30);
  const [port] = first;
  assert.ok(port !== undefined);
  assert.notEqual(ports.reserve(port), port);
  ports.release([port]);
  assert.equal(ports.reserve(port), port);
});

Deno.test("a preferred port that another program has is not given out", () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assert.notEqual(new LoopbackPorts().reserve(other.addr.port), other.addr.port);
});

Deno.test("MAC addresses are local, unicast and those of the VM", () => {
  assert.equal(macAddressOf("00112233445566aa" as VmId), "02:00:11:22:33:44");
});
