/**
 * The process that unpacks one image: reads its layers and writes them as one ext4 file, for the
 * daemon, which goes on meanwhile. Two threads: this one writes, a Worker inflates.
 *
 * What it reads is a stranger's, so it opens the image and then gives up every permission; the Worker
 * may read the layers' files and nothing else. Must not be imported by anything but `main.ts`.
 */
import { toWireError } from "../api/codec.ts";
import { ImageFile } from "../ext4/image_file.ts";
import {
  aliveEveryMs,
  fileSystemLabel,
  type FlattenAnswer,
  type FlattenOrder,
} from "../layers/apart/flatten_job.ts";
import { InflatingThread } from "../layers/apart/inflating_thread.ts";
import { flattenInto } from "../layers/flatten_layers.ts";
import { assertClosed, giveUp } from "../process/own_permissions.ts";

/** Shortest time between two words about progress. */
const progressEveryMs = 100;

/** Does what its standard input orders and resolves to the exit code; the answer goes to stdout. */
export async function runFlattener(): Promise<number> {
  let told = 0;
  const alive = setInterval(() => {
    if (performance.now() - told >= aliveEveryMs) say({ type: "alive" });
  }, aliveEveryMs);
  try {
    const order = await new Response(Deno.stdin.readable).json() as FlattenOrder;
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

async function flatten(order: FlattenOrder, tell: (answer: FlattenAnswer) => void) {
  const file = ImageFile.create(order.out, order.sizeBytes);
  const worker = startWorker(order);
  try {
    const thread = new InflatingThread(worker);
    await thread.ready();
    giveUp(["read", "write", "net", "env", "sys", "run", "ffi", "import"]);
    assertClosed(order.out);
    thread.start(order.layers.map((layer) => ({ ...layer, label: layer.digest })));
    return await flattenInto(file, {
      layers: order.layers.map(({ digest, diffId }) => ({ label: digest, diffId, open: notHere })),
      readLayer: thread.readLayer,
      sizeBytes: order.sizeBytes,
      uuid: Uint8Array.fromHex(order.uuid),
      made: { seconds: order.madeSeconds, nanoseconds: 0 },
      label: fileSystemLabel,
      onProgress: (progress) => tell({ type: "progress", ...progress }),
    });
  } finally {
    worker.terminate();
  }
}

function notHere(): never {
  throw new Error("the other thread opens layers");
}

/** This program's main module again, in a Worker; `main.ts` tells by its name what it is. */
function startWorker({ layers }: FlattenOrder): Worker {
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
