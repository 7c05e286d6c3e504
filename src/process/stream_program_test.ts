import assert from "node:assert/strict";
import { BangerError } from "../model/errors.ts";
import { streamProgram } from "./stream_program.ts";

const options = { maxStdoutBytes: 10_000_000 };

async function* chunks(count: number, size = 1000): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield new Uint8Array(size).fill(index);
}

async function length(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let total = 0;
  for await (const chunk of stream) total += chunk.length;
  return total;
}

function kindOf(kind: string) {
  return (error: unknown) => error instanceof BangerError && error.kind === kind;
}

Deno.test("what goes in comes out, however much it is", async () => {
  assert.equal(await length(streamProgram("cat", [], chunks(3000), options)), 3_000_000);
});

Deno.test("a program that fails refuses the data; its words are kept", async () => {
  const failing = streamProgram("sh", ["-c", "cat; echo why >&2; exit 3"], chunks(1), options);
  await assert.rejects(() => length(failing), (error) => {
    assert.ok(kindOf("untrusted")(error), String(error));
    assert.equal((error as BangerError).detail, "why");
    return true;
  });
});

Deno.test("too much output, a missing program and a failing input are told apart", async () => {
  const short = { maxStdoutBytes: 1500 };
  await assert.rejects(
    () => length(streamProgram("cat", [], chunks(9), short)),
    kindOf("exhausted"),
  );
  const missing = streamProgram("/nonexistent/program", [], chunks(1), options);
  await assert.rejects(() => length(missing), kindOf("precondition"));
  const broken = async function* () {
    yield* chunks(1);
    throw new TypeError("the input broke");
  };
  await assert.rejects(
    () => length(streamProgram("cat", [], broken(), options)),
    /the input broke/,
  );
});

Deno.test("leaving early or cancelling ends the program", async () => {
  for await (const chunk of streamProgram("cat", [], chunks(1_000_000), options)) {
    assert.ok(chunk.length > 0);
    break;
  }
  const stop = new AbortController();
  const slow = streamProgram("sleep", ["60"], chunks(0), { ...options, signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  await assert.rejects(() => length(slow), kindOf("cancelled"));
});
