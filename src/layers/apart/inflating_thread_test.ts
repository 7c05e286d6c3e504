import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { noise } from "../../../tests/support/fake_registry.ts";
import { tarOf } from "../../../tests/support/layer_fixture.ts";
import { ImageFile } from "../../ext4/image_file.ts";
import { isBangerError } from "../../model/errors.ts";
import { flattenInto, flattenLayers } from "../flatten_layers.ts";
import { Inflater } from "./inflater.ts";
import { type FromInflater, type InflaterPort, InflatingThread } from "./inflating_thread.ts";

const options = {
  sizeBytes: 64 * 1024 ** 2,
  uuid: new Uint8Array(16).fill(3),
  made: { seconds: 1_600_000_000, nanoseconds: 0 },
};
const tars = [
  tarOf([{ name: "a/", mode: 0o700 }, { name: "a/noise", content: noise(3_000_000, 1) }]),
  tarOf([{ name: "a/zeros", content: new Uint8Array(5_000_000) }, { name: "a/.wh.none" }]),
  tarOf([{ name: "b", content: noise(700_000, 2) }]),
];
const stored = [gzipSync(tars[0]!), tars[1]!, zstdCompressSync(tars[2]!)];

/** Both sides in one thread; messages are cloned and their buffers change hands as between two. */
function threads(): InflatingThread {
  const inflater = new Inflater((message, transfer) => {
    const data = structuredClone(message, { transfer });
    setTimeout(() => port.onmessage?.(new MessageEvent<FromInflater>("message", { data })), 0);
  });
  const port: InflaterPort = {
    onmessage: null,
    onerror: null,
    postMessage: (message) => inflater.accept(structuredClone(message)),
  };
  return new InflatingThread(port);
}

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-inflating-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const digestOf = (bytes: Uint8Array) =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

function layersIn(dir: string) {
  return stored.map((bytes, index) => ({
    label: `layer ${index}`,
    path: `${dir}/${index}`,
    partPath: `${dir}/${index}.part`,
    size: bytes.length,
    diffId: digestOf(tars[index]!),
  }));
}

const notHere = () => {
  throw new Error("opened here");
};

async function flattenBeside(
  dir: string,
  layers: ReturnType<typeof layersIn>,
): Promise<Uint8Array> {
  const thread = threads();
  thread.start(layers);
  const out = `${dir}/beside`;
  using file = ImageFile.create(out, options.sizeBytes);
  await flattenInto(file, {
    ...options,
    layers: layers.map(({ label, diffId }) => ({ label, diffId, open: notHere })),
    readLayer: thread.readLayer,
  });
  return await Deno.readFile(out);
}

Deno.test("inflated beside, layers make the same bytes, also while they come", async () => {
  await withDir(async (dir) => {
    const layers = layersIn(dir);
    await flattenLayers({
      ...options,
      out: `${dir}/here`,
      layers: stored.map((bytes, index) => ({
        label: `${index}`,
        open: async function* () {
          yield await Promise.resolve(bytes);
        },
      })),
    });
    const expected = await Deno.readFile(`${dir}/here`);
    // The first is there, the second has begun and goes on, the third comes last.
    await Deno.writeFile(layers[0]!.path, stored[0]!);
    await Deno.writeFile(layers[1]!.partPath, stored[1]!.subarray(0, 100));
    let isVerified = false;
    const coming = (async () => {
      using part = await Deno.open(layers[1]!.partPath, { append: true });
      for (let at = 100; at < stored[1]!.length; at += 1_000_000) {
        await new Promise((resolve) => setTimeout(resolve, 8));
        await part.write(stored[1]!.subarray(at, at + 1_000_000));
      }
      await Deno.writeFile(layers[2]!.partPath, stored[2]!);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await Deno.rename(layers[2]!.partPath, layers[2]!.path);
      isVerified = true;
      await Deno.rename(layers[1]!.partPath, layers[1]!.path);
    })();
    const made = await flattenBeside(dir, layers);
    assert.ok(isVerified, "it ended before all digests were checked");
    assert.ok(Buffer.compare(made, expected) === 0, "the images differ");
    await coming;
  });
});

Deno.test("a chunk's memory is given back, and told of, when the next one is asked for", async () => {
  await withDir(async (dir) => {
    await Deno.writeFile(`${dir}/0`, stored[0]!);
    const [layer] = layersIn(dir);
    const thread = threads();
    thread.start([layer!]);
    const limits = { inflatedBytes: 1e9, ratio: 1e9, ratioFromBytes: 0 } as never;
    const seen: Uint8Array[] = [];
    for await (const chunk of thread.readLayer({ ...layer!, open: notHere }, limits, 0).chunks) {
      assert.ok(seen.every(({ byteLength }) => byteLength === 0));
      assert.ok(chunk.byteLength > 0);
      seen.push(chunk);
    }
    assert.ok(seen.length > 8, "more than may be on their way");
    assert.equal(seen.at(-1)?.byteLength, 0);
  });
});

Deno.test("what cannot be inflated beside is refused as here, with layer and rule", async () => {
  await withDir(async (dir) => {
    const cut = stored[0]!.subarray(0, 100_000);
    await Deno.writeFile(`${dir}/0`, cut);
    const [layer] = layersIn(dir);
    await assert.rejects(
      flattenBeside(dir, [{ ...layer!, size: cut.length }]),
      (error) =>
        isBangerError(error, "untrusted") && error.code === "IMAGE_DAMAGED" &&
        /^Cannot unpack layer "layer 0": it cannot be inflated: /.test(error.message),
    );
  });
});

Deno.test("another content than its digest says is refused", async () => {
  await withDir(async (dir) => {
    await Deno.writeFile(`${dir}/0`, stored[2]!);
    const [layer] = layersIn(dir);
    await assert.rejects(
      flattenBeside(dir, [{ ...layer!, size: stored[2]!.length }]),
      (error) => isBangerError(error, "untrusted") && error.code === "IMAGE_DIGEST",
    );
  });
});

Deno.test("a thread that ends is an error, before it is ready and after", async () => {
  for (const isReady of [false, true]) {
    const port: InflaterPort = { onmessage: null, onerror: null, postMessage: () => {} };
    const thread = new InflatingThread(port);
    if (isReady) port.onmessage?.(new MessageEvent("message", { data: { type: "ready" } }));
    port.onerror?.(new ErrorEvent("error", { message: "gone", cancelable: true }));
    if (!isReady) await assert.rejects(thread.ready(), /the inflating thread ended: gone/);
    const limits = { inflatedBytes: 1, ratio: 1, ratioFromBytes: 1 } as never;
    const reading = thread.readLayer({ label: "x", open: notHere }, limits, 0);
    await assert.rejects(Array.fromAsync(reading.chunks), /the inflating thread ended: gone/);
  }
});
