import { elfKernelFixture } from "../support/bundle_fixture.ts";
import { PublishedCatalog } from "../support/published_catalog.ts";
import type { Lane } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";

/** The kernel under test; nothing boots it. */
const kernel = "under-test";

/** A catalog on loopback that has the kernel under test. */
export async function catalogWithKernel(): Promise<PublishedCatalog> {
  const catalog = await PublishedCatalog.make();
  try {
    const file = `${catalog.dir}/kernel`;
    await Deno.writeFile(file, elfKernelFixture());
    await catalog.publish("publish-kernel.sh", { name: kernel, version: "6.1.0", kernel: file });
  } catch (error) {
    await catalog[Symbol.asyncDispose]();
    throw error;
  }
  return catalog;
}

/** `absent`, or `here` with its file in its place. */
async function world(lane: Lane): Promise<string> {
  const { kernels } = await lane.call("kernel.list", {});
  const found = kernels.find(({ name }) => name === kernel);
  if (found === undefined) return "absent";
  const file = `${lane.paths.artefactDir("kernel", found.digest)}/vmlinux`;
  const { size } = await Deno.stat(file).catch(() => ({ size: 0 }));
  return size === elfKernelFixture().length ? "here" : `here, with a file of ${size} bytes`;
}

async function bringTo(lane: Lane, wanted: "absent" | "here"): Promise<void> {
  const now = await world(lane);
  if (now === wanted) return;
  if (now !== "absent") await lane.done("kernel.delete", { kernel });
  if (wanted === "here") await lane.done("kernel.pull", { kernel, refresh: false });
}

/** The verbs on kernels. */
export const kernelOperations: readonly FaultOperation[] = [
  {
    name: "kernel pull",
    atRest: true,
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) => lane.attempt("kernel.pull", { kernel, refresh: false }),
    world,
    worlds: { ok: ["here"], failed: ["absent"], lost: ["absent", "here"] },
  },
  {
    name: "kernel delete",
    atRest: true,
    prepare: (lane) => bringTo(lane, "here"),
    run: (lane) => lane.attempt("kernel.delete", { kernel }),
    world,
    worlds: { ok: ["absent"], failed: ["here", "absent"], lost: ["here", "absent"] },
    refusedAgain: /there is none/,
    refusedTwice: /there is none/,
  },
];
