import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { BangerError, errorKinds, isBangerError } from "../model/errors.ts";
import { checkParams, fromJsonRpcError, toJsonRpcError, toWireError } from "./codec.ts";
import { methods } from "./methods.ts";
import { wireError } from "./operation.ts";

Deno.test("every kind of error crosses the wire with all of its parts", () => {
  for (const kind of errorKinds) {
    for (const extra of [{}, { hint: "h", detail: "d\ne", code: "CODE" }]) {
      const error = new BangerError(kind, `Cannot x "y": z`, extra);
      const json: unknown = JSON.parse(JSON.stringify(toJsonRpcError(error)));
      const back = fromJsonRpcError(json as ReturnType<typeof toJsonRpcError>);
      assert.deepEqual(
        [back.kind, back.message, back.hint, back.detail, back.code],
        [error.kind, error.message, error.hint, error.detail, error.code],
      );
    }
  }
});

Deno.test("whatever is thrown becomes a valid wire error without a stack", () => {
  fc.assert(fc.property(fc.anything(), (thrown) => {
    const wire = toWireError(thrown);
    assert.ok(v.is(wireError, wire));
    assert.equal(wire.kind, "internal");
  }));
  const wire = toWireError(new TypeError("x is undefined"));
  assert.match(wire.message, /x is undefined/);
  assert.ok(!JSON.stringify(wire).includes("codec_test.ts"));
  assert.equal(toWireError(new DOMException("a", "AbortError")).kind, "cancelled");
});

Deno.test("long texts are cut to their end", () => {
  const wire = toWireError(
    new BangerError("internal", "m".repeat(9999), { detail: "d".repeat(99_999) + "end" }),
  );
  assert.equal(wire.message.length, 4096);
  assert.equal(wire.detail?.length, 65536);
  assert.ok(wire.detail?.endsWith("end"));
});

Deno.test("an error of another JSON-RPC peer is understood", () => {
  assert.equal(fromJsonRpcError({ code: -32601, message: "no" }).kind, "precondition");
  assert.equal(fromJsonRpcError({ code: -32000, message: "no", data: { a: 1 } }).kind, "internal");
});

Deno.test("a refused parameter is named with its rule", () => {
  const create = (change: object) =>
    checkParams("vm.create", methods["vm.create"].params, {
      name: null,
      image: null,
      kernel: null,
      cpus: null,
      memoryMib: null,
      diskBytes: null,
      workDiskBytes: null,
      workspace: null,
      labels: {},
      autoStopMs: null,
      publish: [],
      autoPorts: false,
      ephemeral: false,
      lease: false,
      start: false,
      imageDefaults: true,
      gitIdentity: null,
      ...change,
    });
  create({});
  assert.throws(() => create({ cpus: 0 }), (e) => {
    assert.ok(isBangerError(e, "invalid"));
    return /field "cpus"/.test(e.message);
  });
  assert.throws(() => create({ name: "../x" }), /Cannot use VM name "\.\.\/x"/);
  assert.throws(() => create({ name: "-rf" }), /starts with a hyphen/);
  assert.throws(() => create({ extra: 1 }), /extra/);
  assert.throws(() => checkParams("vm.show", methods["vm.show"].params, 7), /vm\.show/);
});
