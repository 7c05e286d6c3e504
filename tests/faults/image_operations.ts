import { BangerError } from "../../src/model/errors.ts";
import { Banger } from "../support/banger.ts";
import { layoutOf, writeLayout } from "../support/layout_fixture.ts";
import { tarOf } from "../support/tar_fixture.ts";
import type { Lane, Outcome } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";

/** The image under test. */
const image = "under-test";

/** The user's own files in a lane. */
const rootfsOf = (lane: Lane) => `${lane.fake.dir}/user/rootfs.ext4`;
const layoutDirOf = (lane: Lane) => `${lane.fake.dir}/user/layout`;

/** `absent`, `registered`, or `managed` with its file in its place. */
async function world(lane: Lane): Promise<string> {
  const { images } = await lane.call("image.list", {});
  const found = images.find(({ name }) => name === image);
  if (found === undefined) return "absent";
  if (!found.managed) return "registered";
  const isThere = await Deno.stat(found.rootfsPath).then(() => true, () => false);
  return isThere ? "managed" : "managed, without its file";
}

async function bringTo(lane: Lane, wanted: "absent" | "registered" | "managed"): Promise<void> {
  await makeUserFiles(lane);
  const now = await world(lane);
  if (now === wanted) return;
  if (now !== "absent" && !(now === "registered" && wanted === "managed")) {
    await lane.done("image.delete", { image });
  }
  if (wanted === "absent") return;
  await lane.done("image.register", { image, rootfs: rootfsOf(lane), kernel: null });
  if (wanted === "managed") await lane.done("image.promote", { image });
}

async function makeUserFiles(lane: Lane): Promise<void> {
  const rootfs = rootfsOf(lane);
  if (await Deno.stat(rootfs).then(() => true, () => false)) return;
  await Deno.mkdir(`${lane.fake.dir}/user`, { recursive: true });
  await writeLayout(
    layoutDirOf(lane),
    layoutOf({ "": [tarOf([{ name: "etc/", type: "5" }, { name: "etc/x", content: "x" }])] }),
  );
  await Deno.writeTextFile(rootfs, "");
  await Deno.truncate(rootfs, 4 * 1024 ** 2);
  const { success } = await new Deno.Command("mkfs.ext4", { args: ["-q", rootfs] }).output();
  if (!success) throw new Error("mkfs.ext4 failed");
}

/** A pull of the user's own files goes through the built CLI, which serves them. */
async function pullLayout(lane: Lane): Promise<Outcome> {
  const banger = new Banger(lane.fake.home);
  const args = ["image", "pull", "--name", image, `oci:${layoutDirOf(lane)}`];
  const { code, stderr } = await banger.run(args, { timeoutMs: 40_000 });
  if (code === 0) return { how: "ok", result: null };
  await lane.daemon.endedWithin(200);
  if (lane.daemon.isOver) return { how: "lost" };
  return { how: "failed", error: new BangerError("internal", stderr.trim()) };
}

/** The verbs on images. */
export const imageOperations: readonly FaultOperation[] = [
  {
    name: "image register",
    atRest: true,
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) => lane.attempt("image.register", { image, rootfs: rootfsOf(lane), kernel: null }),
    world,
    worlds: { ok: ["registered"], failed: ["absent"], lost: ["absent", "registered"] },
  },
  {
    name: "image promote",
    atRest: true,
    prepare: (lane) => bringTo(lane, "registered"),
    run: (lane) => lane.attempt("image.promote", { image }),
    world,
    worlds: { ok: ["managed"], failed: ["registered"], lost: ["registered", "managed"] },
    refusedTwice: /changed or deleted meanwhile/,
  },
  {
    name: "image delete",
    atRest: true,
    prepare: (lane) => bringTo(lane, "managed"),
    run: (lane) => lane.attempt("image.delete", { image }),
    world,
    worlds: { ok: ["absent"], failed: ["managed", "absent"], lost: ["managed", "absent"] },
    refusedAgain: /there is none/,
    refusedTwice: /there is none/,
  },
  {
    name: "image prune",
    atRest: true,
    prepare: (lane) => bringTo(lane, "managed"),
    run: (lane) => lane.attempt("image.prune", { all: true, dryRun: false }),
    world,
    worlds: { ok: ["absent"], failed: ["managed", "absent"], lost: ["managed", "absent"] },
  },
  {
    name: "image pull oci:",
    atRest: true,
    prepare: (lane) => bringTo(lane, "absent"),
    run: pullLayout,
    world,
    worlds: { ok: ["managed"], failed: ["absent"], lost: ["absent", "managed"] },
  },
];
