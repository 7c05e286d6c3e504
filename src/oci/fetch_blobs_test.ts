import assert from "node:assert/strict";
import { imageIn, noise } from "../../tests/support/fake_registry.ts";
import { PullFixture, refused } from "../../tests/support/pull_fixture.ts";
import { BangerError } from "../model/errors.ts";

const layers = [noise(200_000, 1), noise(150_000, 2), noise(1000, 3), noise(5, 4), noise(7, 5)];

Deno.test("three blobs come at once, and not more", async () => {
  await using pull = new PullFixture();
  const { config } = imageIn(pull.registry, layers);
  const three = Promise.withResolvers<void>();
  let [now, most] = [0, 0];
  pull.registry.misbehave = async ({ url }) => {
    if (!url.includes("/blobs/") || url.endsWith(config.digest)) return undefined;
    most = Math.max(most, ++now);
    if (now === 3) three.resolve();
    await three.promise;
    // Long enough that a fourth would be seen.
    await new Promise((resolve) => setTimeout(resolve, 50));
    now--;
    return undefined;
  };
  await pull.pull();
  assert.equal(most, 3);
});

Deno.test("two pulls at once share each download, and both see its progress", async () => {
  await using pull = new PullFixture();
  const image = imageIn(pull.registry, layers);
  const last: number[] = [];
  await Promise.all(
    [0, 1].map((at) => pull.pull(pull.origin(), { onProgress: (bytes) => last[at] = bytes })),
  );
  for (const { digest } of image.layers) {
    assert.equal(pull.registry.requests(digest).length, 1, digest);
  }
  assert.deepEqual(last, [351_012, 351_012]);
});

Deno.test("who leaves does not end the download of the other; the last one does", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, [layers[0] ?? noise(1, 1)]);
  const go = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  pull.registry.misbehave = async ({ url }) => {
    if (!url.endsWith(first?.digest ?? "?")) return undefined;
    asked.resolve();
    await go.promise;
    return undefined;
  };
  const leave = new AbortController();
  const leaving = pull.pull(pull.origin(), { signal: leave.signal });
  await asked.promise;
  const staying = pull.pull();
  const cancelled = new BangerError("cancelled", "Stopped");
  leave.abort(cancelled);
  await assert.rejects(leaving, cancelled);
  go.resolve();
  await staying;
  assert.deepEqual(await pull.blob(first?.digest ?? "sha256:"), first?.bytes);
});

Deno.test("a pull that was cancelled is gone on with by the next one", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, [layers[0] ?? noise(1, 1)]);
  const bytes = first?.bytes ?? new Uint8Array();
  const { misbehave } = pull.registry;
  pull.registry.misbehave = ({ url }) =>
    url.endsWith(first?.digest ?? "?")
      ? new Response(pull.registry.stalling(bytes.slice(0, 120_000)))
      : undefined;
  const stop = new AbortController();
  const onProgress = (now: number) => {
    if (now === 120_000) stop.abort(new BangerError("cancelled", "Stopped"));
  };
  await assert.rejects(() => pull.pull(pull.origin(), { signal: stop.signal, onProgress }));
  const part = `${first?.digest.slice(7)}.part`;
  assert.ok((await pull.files()).includes(part));
  pull.registry.misbehave = misbehave;
  const seen: number[] = [];
  await pull.pull(pull.origin(), { onProgress: (now) => seen.push(now) });
  assert.equal(pull.registry.requests(first?.digest ?? "?").at(-1)?.range, "bytes=120000-");
  assert.ok(seen.includes(120_000));
  assert.deepEqual(await pull.blob(first?.digest ?? "sha256:"), bytes);
  assert.ok(!(await pull.files()).includes(part));
});

Deno.test("what the host damaged of an earlier download is not the registry's fault", async () => {
  for (const left of [noise(1000, 99), noise(200_000, 99), noise(200_001, 99)]) {
    await using pull = new PullFixture();
    const { layers: [first] } = imageIn(pull.registry, [layers[0] ?? noise(1, 1)]);
    const digest = first?.digest ?? "sha256:";
    await Deno.writeFile(pull.store.partPath(digest), left);
    await pull.pull();
    assert.deepEqual(await pull.blob(digest), first?.bytes);
  }
});

Deno.test("when one blob fails the others stop, and the first failure is told", async () => {
  await using pull = new PullFixture();
  const image = imageIn(pull.registry, layers);
  const [first, second] = image.layers;
  pull.registry.misbehave = ({ url }) => {
    if (url.endsWith(first?.digest ?? "?")) return new Response("", { status: 404 });
    if (!url.endsWith(second?.digest ?? "?")) return undefined;
    return new Response(pull.registry.stalling(noise(3, 3)));
  };
  await assert.rejects(() => pull.pull(), refused("not_found", new RegExp(first?.digest ?? "?")));
});

Deno.test("a full disk is told as such, and leaves no part", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, [layers[0] ?? noise(1, 1)]);
  const digest = first?.digest ?? "sha256:";
  await Deno.symlink("/dev/full", pull.store.partPath(digest));
  await assert.rejects(() => pull.pull(), refused("exhausted", /the disk is full/, "NO_SPACE"));
  assert.ok(!(await pull.files()).some((name) => name.endsWith(".part")));
});

Deno.test("what is in use is kept, what nothing needs is collected", async () => {
  await using pull = new PullFixture();
  const old = imageIn(pull.registry, [noise(10, 1), noise(20, 2)]);
  await pull.pull();
  const fresh = imageIn(pull.registry, [noise(20, 2), noise(30, 3)]);
  const image = await pull.pull();
  const part = pull.store.partPath(`sha256:${"1".repeat(64)}`);
  await Deno.writeFile(part, noise(9, 9));
  await Deno.writeFile(`${pull.dir}/blobs/sha256/stray`, noise(9, 9));
  const nowMs = Date.now();
  const [gone] = old.layers;
  {
    using hold = pull.store.hold();
    hold.add(gone?.digest ?? "sha256:");
    await pull.store.collect(image.blobs, { nowMs, partsForMs: 60_000 });
    assert.notEqual(await pull.store.size(gone?.digest ?? "sha256:"), undefined);
  }
  assert.deepEqual(
    await pull.store.collect(image.blobs, { nowMs: nowMs + 61_000, partsForMs: 60_000 }),
    { removed: 2, bytes: 19 },
  );
  const names = [...fresh.layers, fresh.config, fresh.manifest].map(({ digest }) =>
    digest.slice(7)
  );
  assert.deepEqual(await pull.files(), names.sort());
});
