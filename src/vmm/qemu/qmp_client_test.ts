import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { GuestLink } from "../contract.ts";
import { LineReader } from "./line_reader.ts";
import { QmpClient, type QmpEvent } from "./qmp_client.ts";
import { parseQmpMessage } from "./qmp_message.ts";

const greeting = '{"QMP":{"version":{},"capabilities":[]}}\n';

/** A QMP server at the other end of a link: answers each line with what `answer` says. */
function fakeQemu(
  answer: (command: string, id: number) => string | null,
  first: string | null = greeting,
): GuestLink {
  const waiting: ((bytes: Uint8Array | null) => void)[] = [];
  const ready: (Uint8Array | null)[] = [];
  const send = (bytes: Uint8Array | null) => {
    const reader = waiting.shift();
    if (reader === undefined) ready.push(bytes);
    else reader(bytes);
  };
  if (first !== null) send(new TextEncoder().encode(first));
  return {
    read: async (into) => {
      const bytes = ready.length > 0
        ? ready.shift() ?? null
        : await new Promise<Uint8Array | null>((resolve) => waiting.push(resolve));
      if (bytes === null) return null;
      into.set(bytes);
      return bytes.length;
    },
    write: (bytes) => {
      const line = JSON.parse(new TextDecoder().decode(bytes));
      const text = answer(line.execute, line.id);
      send(text === null ? null : new TextEncoder().encode(text));
      return Promise.resolve();
    },
    close: () => send(null),
  };
}

const ok = (_command: string, id: number) => `{"return":{},"id":${id}}\n`;

Deno.test("answers find their commands, whatever the order, and events are reported", async () => {
  const events: QmpEvent[] = [];
  const held: number[] = [];
  const link = fakeQemu((command, id) => {
    if (command === "qmp_capabilities") return ok(command, id);
    held.push(id);
    if (held.length < 2) return '{"event":"RESUME","timestamp":{}}\r\n';
    return `{"return":"second","id":${held[1]}}\n{"return":"first","id":${held[0]}}\n`;
  });
  const client = await QmpClient.open(link, {
    timeoutMs: 1000,
    onEvent: (event) => events.push(event),
  });
  const answers = await Promise.all([client.execute("a"), client.execute("b")]);
  assert.deepEqual(answers, ["first", "second"]);
  assert.deepEqual(events, [{ name: "RESUME", data: {} }]);
  client.close();
  await client.closed;
});

Deno.test("a refusal, a hang-up and silence end a command each in its own way", async () => {
  const link = fakeQemu((command, id) => {
    if (command === "refused") {
      return `{"error":{"class":"GenericError","desc":"no such thing"},"id":${id}}\n`;
    }
    if (command === "silent") return "";
    return command === "hang-up" ? null : ok(command, id);
  });
  const client = await QmpClient.open(link, { timeoutMs: 1000 });
  await assert.rejects(client.execute("refused"), /no such thing/);
  await assert.rejects(
    client.execute("silent", {}, { timeoutMs: 10 }),
    (error) => isBangerError(error, "timeout"),
  );
  const abort = new AbortController();
  const cancelled = client.execute("silent", {}, { signal: abort.signal });
  abort.abort();
  await assert.rejects(cancelled, (error) => isBangerError(error, "cancelled"));
  await assert.rejects(client.execute("hang-up"), (e) => isBangerError(e, "unavailable"));
  await assert.rejects(client.execute("later"), (e) => isBangerError(e, "unavailable"));
});

Deno.test("what is not QMP fails the opening at once", async () => {
  for (const first of ["SSH-2.0-x\n", "[]\n", "x".repeat(300) + "\n"]) {
    await assert.rejects(
      QmpClient.open(fakeQemu(ok, first), { timeoutMs: 1000 }),
      (error) => isBangerError(error, "internal"),
    );
  }
  await assert.rejects(
    QmpClient.open(fakeQemu(ok, null), { timeoutMs: 20 }),
    (error) => isBangerError(error, "timeout"),
  );
});

Deno.test("any line parses or is refused with a BangerError", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
    try {
      parseQmpMessage(line);
    } catch (error) {
      assert.ok(error instanceof BangerError);
    }
  }));
});

Deno.test("lines come out whole, however the bytes are cut", () => {
  const line = fc.string({ maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, ""));
  fc.assert(fc.property(fc.array(line), fc.integer({ min: 1, max: 9 }), (lines, cut) => {
    const bytes = new TextEncoder().encode(lines.map((text) => `${text}\n`).join(""));
    const reader = new LineReader(200);
    const seen: string[] = [];
    for (let at = 0; at < bytes.length; at += cut) {
      seen.push(...reader.push(bytes.subarray(at, at + cut)));
    }
    assert.deepEqual(seen.map((text) => text.replace(/^\uFEFF/, "")), lines);
  }));
  assert.throws(() => new LineReader(10).push(new Uint8Array(11)), RangeError);
});
