import assert from "node:assert/strict";
import * as v from "valibot";
import { type MethodName, methods } from "../api/methods.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import { Operations } from "../services/operation/operations.ts";
import type { CallContext } from "./call_context.ts";
import { dispatcher, errorEncoder, UnknownMethodError } from "./dispatcher.ts";
import type { Handlers } from "./handler_table.ts";
import { ownHandlers } from "./own_handlers.ts";
import { refusingHandlers } from "./refusing_services.ts";

const notified: unknown[] = [];
const context: CallContext = {
  signal: new AbortController().signal,
  connection: { id: 1, onClose: () => () => {} },
  notify: (method, params) => notified.push([method, params]),
  upgrade: () => {},
};

/** Calls handlers; failures reject, whether they were thrown or promised. */
function calling(handlers: Handlers) {
  const dispatch = dispatcher(handlers);
  return async (method: string, params: unknown, call: CallContext) =>
    await dispatch(method, params, call);
}

function fixture() {
  const rows = new Map();
  const operations = new Operations({
    archive: {
      save: (row) => rows.set(row.id, row),
      find: (id) => rows.get(id),
      list: () => [...rows.values()],
      prune: () => 0,
    },
    nowMs: () => 1,
    monotonicMs: () => 1,
    onArchiveFailure: () => {},
  });
  let stopped = 0;
  const own = ownHandlers({
    version: "1",
    commit: "c",
    build: "b",
    pid: 2,
    startedAtMs: 3,
    socketPath: "/s",
    stateDir: "/d",
    logPath: "/l",
    runningVms: () => 0,
    rssBytes: () => 4,
    shutDown: () => stopped++,
  }, operations);
  const store = new BangerError("precondition", "Cannot open the store");
  let refused = 0;
  const handlers: Handlers = refusingHandlers(own, store, () => refused++);
  return {
    refused: () => refused,
    operations,
    own,
    dispatch: calling(handlers),
    stopped: () => stopped,
  };
}

Deno.test("every method has a handler, and own answers keep their contract", async () => {
  const { operations, own } = fixture();
  const id = operations.begin({ method: "m", subject: "s" }, () => Promise.resolve({ a: 1 }));
  const dispatch = calling({ ...refusingHandlers(own, new Error(), () => {}), ...own });
  const calls: readonly (readonly [MethodName, object])[] = [
    ["daemon.ping", {}],
    ["daemon.status", {}],
    ["operation.list", {}],
    ["operation.status", { id }],
    ["operation.watch", { id }],
    ["operation.cancel", { id }],
    ["daemon.stop", { force: false }],
  ];
  for (const [method, params] of calls) {
    const result = await dispatch(method, params, context);
    assert.ok(v.is(methods[method].result, result), method);
  }
});

Deno.test("without a store only the daemon itself answers", async () => {
  const { dispatch, refused } = fixture();
  await dispatch("daemon.ping", {}, context);
  for (const method of ["vm.list", "image.list", "operation.list"]) {
    await assert.rejects(dispatch(method, {}, context), (e) => isBangerError(e, "precondition"));
  }
  assert.equal(refused(), 3);
});

Deno.test("unknown methods and bad parameters never reach a handler", async () => {
  const { dispatch } = fixture();
  for (const method of ["nope", "__proto__", "constructor", "toString", ""]) {
    await assert.rejects(dispatch(method, {}, context), UnknownMethodError);
  }
  await assert.rejects(dispatch("vm.show", { vm: 7 }, context), (e) => isBangerError(e, "invalid"));
});

Deno.test("a stop is refused while operations run, unless forced", async () => {
  const { dispatch, operations, stopped } = fixture();
  const gate = Promise.withResolvers<void>();
  operations.begin({ method: "m", subject: "s" }, () => gate.promise);
  await assert.rejects(
    dispatch("daemon.stop", { force: false }, context),
    (e) => isBangerError(e, "conflict"),
  );
  assert.equal(stopped(), 0);
  await dispatch("daemon.stop", { force: true }, context);
  assert.equal(stopped(), 1);
  gate.resolve();
});

Deno.test("watching sends the events of that operation", async () => {
  const { operations, own } = fixture();
  const id = operations.begin(
    { method: "m", subject: "s" },
    (reporter) => reporter.stage({ id: "a", title: "A" }, () => Promise.resolve(1)),
  );
  notified.length = 0;
  await own["operation.watch"]({ id }, context);
  const [first] = notified as [string, { id: string; event: { type: string } }][];
  assert.equal(first?.[0], "operation.event");
  assert.equal(first?.[1].id, id);
  assert.equal(notified.length, 2);
});

Deno.test("defects are logged with their stack and told without it", () => {
  const logged: string[] = [];
  const none = () => {};
  const encode = errorEncoder({
    debug: none,
    info: none,
    warn: none,
    error: (_, fields) => logged.push(String(fields?.["error"])),
  });
  const wire = encode(new TypeError("x is undefined"));
  assert.match(logged[0] ?? "", /dispatcher_test\.ts/);
  assert.ok(!JSON.stringify(wire).includes("dispatcher_test"));
  assert.equal(encode(new UnknownMethodError("no")).code, -32601);
  encode(new BangerError("conflict", "taken"));
  assert.equal(logged.length, 1);
});
