/**
 * The process that unpacks one image: reads its layers and writes them as one ext4 file, for the
 * daemon, which goes on meanwhile. This thread writes, two Workers inflate.
 *
 * What it reads is a stranger's, so it opens the image and then gives up every permission; a Worker
 * may read its layers' files and nothing else. Must not be imported by anything but `main.ts`.
 */
import { setPriority } from "node:os";
import { toWireError } from "../api/codec.ts";
import { ImageFile } from "../ext4/image_file.ts";
import {
  aliveEveryMs,
  type FlattenAnswer,
  type FlattenOrder,
  type LayerFile,
  purposes,
} from "../layers/apart/flatten_job.ts";
import { InflatingThread } from "../layers/apart/inflating_thread.ts";
import { flattenInto } from "../layers/flatten_layers.ts";
import { assertClosed, giveUp } from "../process/own_permissions.ts";

/** Threads that inflate, layer by layer in turn: while one is written the next one is inflated ahead. */
const inflaters = 2;
/** Shortest time between two words about progress. */
const progressEveryMs = 100;

/** What a machine does for its guests, and the daemon for others, comes first; see nice(1). */
const niceness = 10;

/** Does what its standard input orders and resolves to the exit code; the answer goes to stdout. */
export async function runFlattener(): Promise<number> {
  // Of this thread only, and of those that it starts.
  setPriority(0, niceness);
  let told = 0;
  const alive = setInterval(() => {
    if (performance.now() - told >= aliveEveryMs) say({ type: "alive" });
  }, aliveEveryMs);
  try {
    const order = JSON.parse(readAll(Deno.stdin)) as FlattenOrder;
    const { usedBytes, inodes } = await flatten(order, (answer) => {
      if (performance.now() - told < progressEveryMs) return;
      told = performance.now();
      say(answer);
    });
    say({ type: "done", usedBytes, inodes });
    return 0;
  } catch (error) {
    say({ type: "failed", error: toWireError(error) });
    return 1;
  } finally {
    clearInterval(alive);
  }
}

/** Not by `Response`: that loads all of fetch. */
function readAll(input: Pick<typeof Deno.stdin, "readSync">): string {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  for (;;) {
    const length = input.readSync(buffer);
    if (length === null) return text + decoder.decode();
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
}

async function flatten(order: FlattenOrder, tell: (answer: FlattenAnswer) => void) {
  const file = ImageFile.create(order.out, order.sizeBytes);
  const shares = Array.from(
    { length: Math.min(inflaters, order.layers.length) },
    (_, share) => order.layers.filter((_, index) => index % inflaters === share),
  );
  const workers = shares.map(startWorker);
  try {
    const threads = workers.map((worker) => new InflatingThread(worker));
    await Promise.all(threads.map((thread) => thread.ready()));
    giveUp(["read", "write", "net", "env", "sys", "run", "ffi", "import"]);
    assertClosed(order.out);
    for (const [share, layers] of shares.entries()) {
      threads[share]?.start(layers.map((layer) => ({ ...layer, label: layer.digest })));
    }
    let next = 0;
    return await flattenInto(file, {
      layers: order.layers.map(({ digest, diffId }) => ({ label: digest, diffId, open: notHere })),
      readLayer: (...layer) => threads[next++ % inflaters]!.readLayer(...layer),
      sizeBytes: order.sizeBytes,
      uuid: Uint8Array.fromHex(order.uuid),
      made: { seconds: order.madeSeconds, nanoseconds: 0 },
      ...purposes[order.purpose],
      onProgress: (progress) => tell({ type: "progress", ...progress }),
    });
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

function notHere(): never {
  throw new Error("another thread opens layers");
}

/** This program's main module again, in a Worker; `main.ts` tells by its name what it is. */
function startWorker(layers: readonly LayerFile[]): Worker {
  const codeDir = decodeURIComponent(new URL(".", Deno.mainModule).pathname).replace(/\/$/, "");
  return new Worker(Deno.mainModule, {
    type: "module",
    name: "inflater",
    deno: {
      permissions: {
        read: [codeDir, ...layers.flatMap(({ path, partPath }) => [path, partPath])],
        ...{ write: false, net: false, env: false, sys: false, run: false, ffi: false },
        import: false,
      },
    },
  });
}

/** @throws Deno.errors.BrokenPipe when the daemon is gone: nobody wants the image then */
function say(answer: FlattenAnswer): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(answer)}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}
