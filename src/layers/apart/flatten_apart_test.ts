import assert from "node:assert/strict";
import { toWireError } from "../../api/codec.ts";
import { BangerError, type ErrorKind, isBangerError } from "../../model/errors.ts";
import { flattenApart, type FlattenerEnd, type RunFlattener } from "./flatten_apart.ts";
import type { FlattenJob } from "./flatten_job.ts";

const job: FlattenJob = {
  ...{ staging: "image-1", file: "rootfs.ext4", purpose: "rootfs", layers: [] },
  ...{ sizeBytes: 2 ** 24, uuid: "0".repeat(32), madeSeconds: 0 },
};
const done = { type: "done", usedBytes: 7, inodes: 3 };
const line = (answer: unknown) => `${JSON.stringify(answer)}\n`;
const never = new AbortController().signal;

/** A process that prints `texts` and ends so. */
function printing(texts: readonly string[], end: Partial<FlattenerEnd> = {}): RunFlattener {
  return async (_job, onText, signal) => {
    for (const text of texts) {
      await Promise.resolve();
      signal.throwIfAborted();
      onText(text);
    }
    signal.throwIfAborted();
    return { code: 0, stderr: "", ...end };
  };
}

async function refused(
  run: RunFlattener,
  kind: ErrorKind,
  words: RegExp,
  code?: string,
  more: { silenceMs?: number; mayWait?: () => boolean } = {},
): Promise<BangerError> {
  const found = await flattenApart(run, job, { label: "x:1", signal: never, ...more }).then(
    () => assert.fail("it was accepted"),
    (error) => error,
  );
  assert.ok(isBangerError(found, kind), `${found}`);
  assert.match(found.message, words);
  assert.equal(found.code, code);
  return found;
}

Deno.test("progress and the answer come over in lines, wherever they are cut", async () => {
  const text = [
    { type: "progress", layer: 0, storedBytes: 5 },
    { type: "alive" },
    { type: "progress", layer: 1, storedBytes: 9 },
    done,
  ].map(line).join("");
  for (const size of [1, 7, text.length]) {
    const parts = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    const seen: unknown[] = [];
    const options = { label: "x:1", signal: never, onProgress: (at: unknown) => seen.push(at) };
    assert.deepEqual(await flattenApart(printing(parts), job, options), {
      usedBytes: 7,
      inodes: 3,
    });
    assert.deepEqual(seen.map((at) => (at as { storedBytes: number }).storedBytes), [5, 9]);
  }
});

Deno.test("an error keeps kind, words, code, hint and detail", async () => {
  const given = new BangerError("untrusted", 'Cannot unpack layer "sha256:0": entry "a" is bad', {
    ...{ code: "IMAGE_UNSAFE_ENTRY", hint: "Use another", detail: "two\nlines" },
  });
  const run = printing([line({ type: "failed", error: toWireError(given) })], { code: 1 });
  const found = await refused(
    run,
    "untrusted",
    /^Cannot unpack layer "sha256:0": entry "a" is bad$/,
    given.code,
  );
  assert.deepEqual([found.hint, found.detail], [given.hint, given.detail]);
});

Deno.test("a process that ends without an answer ends this pull only, and says how", async () => {
  const memory = "\n#\n# Fatal JavaScript out of memory: Reached heap limit\n#";
  for (const code of [133, 134]) {
    await refused(
      printing([line({ type: "alive" })], { code, stderr: memory }),
      ...[
        "exhausted",
        /^Cannot unpack image "x:1": it takes too much memory$/,
        "IMAGE_LIMIT",
      ] as const,
    );
  }
  await refused(printing([], { code: 137 }), "exhausted", /too much memory/, "IMAGE_LIMIT");
  const crashed = await refused(
    printing([], { code: 139, stderr: "words\n" }),
    ...["internal", /its unpacking ended with exit code 139$/] as const,
  );
  assert.equal(crashed.detail, "words");
  await refused(printing([], { code: 0 }), "internal", /exit code 0$/);
  // What it said before it failed is not believed.
  await refused(printing([line(done)], { code: 1 }), "internal", /exit code 1$/);
});

Deno.test("what makes no sense ends the process", async () => {
  const texts: readonly string[] = [
    "hello\n",
    "[]\n",
    "null\n",
    line({ type: "done" }),
    line({ ...done, usedBytes: -1 }),
    line({ ...done, path: "/etc/passwd" }),
    line({ type: "progress", layer: "0", storedBytes: 1 }),
    line({ type: "failed", error: { kind: "nothing", message: "x" } }),
    "x".repeat(300_000),
  ];
  for (const text of texts) {
    await refused(
      printing([text, line(done)]),
      "internal",
      /what its unpacking says makes no sense/,
    );
  }
});

Deno.test("a process that says nothing is ended", async () => {
  let killed = false;
  const silent: RunFlattener = async (_job, onText, signal) => {
    onText(line({ type: "alive" }));
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    killed = true;
    throw signal.reason;
  };
  await refused(silent, "timeout", /its unpacking has stopped/, undefined, { silenceMs: 20 });
  assert.ok(killed);
  // Alive is enough while layers come, and not when all are here.
  let isComing = true;
  const idle: RunFlattener = async (_job, onText, signal) => {
    for (let turn = 0; !signal.aborted; turn++) {
      onText(line({ type: "alive" }));
      if (turn === 10) isComing = false;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(!isComing, "it was ended while it waited");
    throw signal.reason;
  };
  const more = { silenceMs: 60, mayWait: () => isComing };
  await refused(idle, "timeout", /its unpacking has stopped/, undefined, more);
});

Deno.test("who stops it gets his own reason, once the process is gone", async () => {
  const stop = new AbortController();
  const reason = new BangerError("cancelled", "Stopped: cancelled");
  let gone = false;
  const run: RunFlattener = async (_job, _onText, signal) => {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, 5));
    gone = true;
    throw new Error("killed");
  };
  const flattening = flattenApart(run, job, { label: "x:1", signal: stop.signal });
  stop.abort(reason);
  await assert.rejects(flattening, (error) => error === reason);
  assert.ok(gone);
});
