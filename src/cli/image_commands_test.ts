import assert from "node:assert/strict";
import { runFake } from "./testdata/fake_context.ts";
import { answering, imageViewOf } from "./testdata/fake_images.ts";

const golden = (name: string) => new URL(`./testdata/golden/${name}`, import.meta.url);
const images = [
  imageViewOf(),
  imageViewOf({
    name: "mine",
    source: "file:/home/ann/disk.ext4",
    managed: false,
    rootfsPath: "/home/ann/disk.ext4",
    diskBytes: 700 * 1024 ** 2,
    blobBytes: 0,
    sharedBytes: 1024,
    run: null,
    usedBy: [],
  }),
];
const pruned = {
  removed: [
    { kind: "image", name: "old", reason: "a newer one has its name", bytes: 5 * 1024 ** 2 },
    { kind: "blobs", name: "3", reason: "no image was made of them", bytes: 1024 ** 2 },
  ],
  bytes: 6 * 1024 ** 2,
};

async function checkGolden(name: string, text: string): Promise<void> {
  if (Deno.env.get("BANGER_UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden(name), text);
  assert.equal(text, await Deno.readTextFile(golden(name)));
}

Deno.test("image list is a table of what images really take, or stable JSON", async () => {
  const { connect } = answering(() => ({ images }));
  const { out } = await runFake(["image", "list"], { connect });
  assert.equal(
    out.text,
    "NAME            SIZE  SHARED  ARCH    KERNEL            VMS  AGE  SOURCE\n" +
      "alpine-3.20   12 MiB       -  x86_64  debian-6.1-cloud    1   1m  registry:registry.example/alpine:3.20\n" +
      "mine         700 MiB   1 KiB  x86_64  debian-6.1-cloud    0   1m  file:/home/ann/disk.ext4\n",
  );
  const json = await runFake(["image", "list", "--json"], { connect });
  await checkGolden("image_list.json", json.out.text);
});

Deno.test("image show tells where the file is, and what it takes and shares", async () => {
  const { connect } = answering((_, params) => ({
    image: images.find(({ name }) => name === (params as { image: string }).image)!,
  }));
  const first = await runFake(["image", "show", "alpine-3.20"], { connect });
  assert.match(first.out.text, /^Downloads: +3 MiB are kept of it$/m);
  assert.doesNotMatch(first.out.text, /^Shared/m);
  const second = await runFake(["image", "show", "mine"], { connect });
  assert.match(second.out.text, /^Size: +8 GiB \(700 MiB on the host\)\nShared: +1 KiB of both/m);
  assert.match(second.out.text, /^Managed: +no\nRoot disk: +\/home\/ann\/disk\.ext4\n/m);
  const json = await runFake(["image", "show", "mine", "--json"], { connect });
  await checkGolden("image_show.json", json.out.text);
});

Deno.test("a path is shown on a terminal without what it would do there", async () => {
  const odd = imageViewOf({ source: "file:/a\x1b[2J\nb", rootfsPath: "/a\x1b[2J\nb" });
  const { connect } = answering((method) =>
    method === "image.list" ? { images: [odd] } : { image: odd }
  );
  for (const words of [["list"], ["show", "x"]]) {
    const shown = await runFake(["image", ...words], { connect, terminal: true });
    assert.ok(!shown.out.text.includes("\x1b"), shown.out.text);
    assert.match(shown.out.text, /file:\/a\\x1b\[2J\\x0ab/);
  }
});

Deno.test("image register makes a path absolute, and asks nobody without a file", async () => {
  const { calls, connect } = answering(() => ({ image: images[1]! }));
  const run = (...words: string[]) =>
    runFake(["image", "register", ...words], { connect, cwd: "/home/ann" });
  const { code, err } = await run("mine", "--rootfs", "./disk.ext4", "--kernel", "k");
  assert.equal(code, 0);
  assert.equal(err.text, 'Image "mine" is /home/ann/disk.ext4\n');
  assert.deepEqual(calls, [{
    method: "image.register",
    params: { image: "mine", rootfs: "/home/ann/disk.ext4", kernel: "k" },
  }]);
  for (const words of [["mine"], ["mine", "--rootfs", ""], ["../x", "--rootfs", "f"], []]) {
    assert.equal((await run(...words)).code, 2, words.join(" "));
  }
  assert.equal(calls.length, 1);
});

Deno.test("image prune lists, asks, and removes only after a yes", async () => {
  const table = "KIND   NAME   SIZE  WHY\n" +
    "image  old   5 MiB  a newer one has its name\n" +
    "blobs  3     1 MiB  no image was made of them\n";
  const prune = async (answer: string, ...words: string[]) => {
    const { calls, connect } = answering(() => pruned);
    const stdin = [new TextEncoder().encode(answer)];
    const ran = await runFake(["image", "prune", ...words], { connect, terminal: true, stdin });
    return { ...ran, asked: calls.map(({ params }) => (params as { dryRun: boolean }).dryRun) };
  };
  for (const yes of ["y\n", "Yes\n", " y \n"]) {
    const { code, out, err, asked } = await prune(yes);
    assert.deepEqual([code, asked], [0, [true, false]], yes);
    assert.equal(out.text, table);
    assert.equal(err.text, "Remove these, 6 MiB? [y/N] Freed 6 MiB\n");
  }
  for (const no of ["n\n", "\n", "yesterday\n", ""]) {
    const { code, err, asked } = await prune(no);
    assert.deepEqual([code, asked], [0, [true]], no);
    assert.doesNotMatch(err.text, /Freed/);
  }
  const forced = await prune("", "--force", "--all");
  assert.deepEqual([forced.code, forced.asked, forced.out.text], [0, [false], table]);
  const dry = await prune("", "--dry-run");
  assert.deepEqual([dry.asked, dry.err.text], [[true], "Would free 6 MiB\n"]);
});

Deno.test("image prune without a terminal needs --force; its JSON is stable", async () => {
  const { calls, connect } = answering(() => pruned);
  const refused = await runFake(["image", "prune"], { connect });
  assert.equal(refused.code, 2);
  assert.match(refused.err.text, /there is no terminal\n {2}hint: Give --force/);
  assert.equal(refused.out.text + calls.length, "0");
  const json = await runFake(["image", "prune", "--force", "--json", "--all"], { connect });
  await checkGolden("image_prune.json", json.out.text);
  assert.deepEqual(calls, [{ method: "image.prune", params: { all: true, dryRun: false } }]);
  const nothing = answering(() => ({ removed: [], bytes: 0 }));
  const none = await runFake(["image", "prune", "--dry-run"], nothing);
  assert.equal(none.out.text + none.err.text, "Nothing is unused\n");
});
