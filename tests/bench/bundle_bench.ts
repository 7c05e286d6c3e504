/**
 * Row 8 of the benchmarks: an image's bundle, over the plain programs that do the same work.
 * Both sides write to tmpfs and run in turn.
 *
 * - Reading it (decompress, SHA-256 of the content, write) over `zstd -dc | tee (openssl) | dd`.
 * - Pulling it from a server on loopback (download with SHA-256, signature, reading, kernel), as the daemon
 *   does it, over `dd` for the download, `openssl dgst` for the bundle's SHA-256 and once more for the hash
 *   that is signed, and the pipe above.
 *
 * usage: deno run --allow-all tests/bench/bundle_bench.ts [PAIRS]     (7 at least)
 *
 * Needs zstd, openssl and python3, and 4 GiB free in /dev/shm. The built program cannot be measured there:
 * Deno allows a daemon's Worker nothing below /dev.
 */
import { createMessage, generateKey, sign } from "openpgp";
import { pullBundle } from "../../src/bundles/pull_bundle.ts";
import { readBundle } from "../../src/bundles/read_bundle.ts";
import { writeBundle } from "../../src/bundles/write_bundle.ts";
import type { CatalogEntry, CatalogTrust } from "../../src/catalog/catalog.ts";
import { silentReporter } from "../../src/model/stages.ts";
import { run } from "../../src/process/run.ts";
import { elfKernelFixture } from "../support/bundle_fixture.ts";
import { type BenchRow, tableHead, tableLine } from "./table.ts";
import { say } from "./report.ts";

const pairs = Math.max(7, Number(Deno.args[0] ?? 9));
const contentMib = 512;
const target = 1.2;
const never = new AbortController().signal;

const dir = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "banger-bench-" });
try {
  const served = `${dir}/served`;
  await Deno.mkdir(served);
  const published = await publish(served);
  await using server = await serve(served);
  say(tableHead);
  for await (const row of rows(published, server.url, `${served}/x.bundle`)) say(tableLine(row));
} finally {
  await Deno.remove(dir, { recursive: true });
}

interface Published {
  readonly entry: Omit<CatalogEntry, "url" | "signatureUrl">;
  readonly trust: CatalogTrust;
}

async function* rows(
  { entry, trust }: Published,
  url: string,
  bundle: string,
): AsyncGenerator<BenchRow> {
  const out = `${dir}/out`;
  const spool = `${dir}/spool`;
  const unpack = (from: string) =>
    `zstd -dc ${from} | tee >(openssl dgst -sha256 >/dev/null) | ` +
    `dd of=${dir}/peer bs=1M iflag=fullblock status=none; wait`;
  // As on the other side, the removal of what was written does not count.
  const peer = async (script: string) => {
    const took = await timed(() => shell(script));
    await shell(`rm -f ${dir}/peer ${spool}`);
    return took;
  };
  const reading = await inTurn(
    async () => {
      await Deno.mkdir(out);
      const took = await timed(() =>
        readBundle(chunksOf(bundle), { label: "x", outDir: out, signal: never })
      );
      await Deno.remove(out, { recursive: true });
      return took;
    },
    () => peer(unpack(bundle)),
  );
  const parts = "`zstd -dc`, `openssl dgst`, `dd`";
  const content = `${contentMib} MiB`;
  yield row(`reading a bundle of ${content}`, `${parts} in a pipe`, reading);

  const there = { ...entry, url: `${url}x.bundle`, signatureUrl: `${url}x.bundle.sig` };
  const whole = await inTurn(
    async () => {
      await Deno.mkdir(out);
      const took = await timed(() =>
        pullBundle(there, {
          ...{ stagingDir: out, trust, reporter: silentReporter, signal: never },
          nowMs: Date.now(),
          extractKernel: () => Promise.reject(new Error("it is there as it is")),
        })
      );
      await Deno.remove(out, { recursive: true });
      return took;
    },
    () =>
      peer(
        `dd if=${bundle} of=${spool} bs=1M status=none; openssl dgst -sha256 ${spool} >/dev/null; ` +
          `openssl dgst -sha512 ${spool} >/dev/null; ${unpack(spool)}`,
      ),
  );
  yield row(`pulling a bundle of ${content}`, `${parts}, one for each step`, whole);
}

function row(
  name: string,
  floorName: string,
  { own, floor }: { readonly own: readonly number[]; readonly floor: readonly number[] },
): BenchRow {
  return { row: 8, name, floorName, unit: "ms", own, floor, target };
}

/** Both sides in turn, after one pair that does not count. */
async function inTurn(own: () => Promise<number>, floor: () => Promise<number>) {
  const figures = { own: [] as number[], floor: [] as number[] };
  for (let pair = -1; pair < pairs; pair++) {
    const [a, b] = [await own(), await floor()];
    if (pair < 0) continue;
    figures.own.push(a);
    figures.floor.push(b);
  }
  return figures;
}

/** Puts a bundle of image `x`, filled with this host's programs, and its signature into a directory. */
async function publish(served: string): Promise<Published> {
  const [rootfs, kernel, path] = [`${dir}/rootfs`, `${dir}/kernel`, `${served}/x.bundle`];
  await shell(
    `{ cat /usr/bin/* /usr/lib/*/*.so* 2>/dev/null || true; cat /dev/urandom; } | ` +
      `head -c ${contentMib}M >${rootfs} || true; [ -s ${rootfs} ]`,
  );
  await Deno.writeFile(kernel, elfKernelFixture());
  const { size, sha256 } = await writeBundle({
    metadata: {
      ...{ kind: "image", name: "x", arch: "x86_64", kitKey: null, createdAtMs: Date.now() },
      kernel: { name: "x", version: "6.1.0", commandLine: [] },
    },
    files: { "rootfs.ext4": rootfs, vmlinux: kernel },
  }, { path, level: 3, signal: never });
  await Deno.remove(rootfs);
  const { privateKey, publicKey } = await generateKey({
    userIDs: [{ name: "bench" }],
    format: "object",
  });
  const signature = await sign({
    message: await createMessage({ binary: await Deno.readFile(path) }),
    ...{ signingKeys: privateKey, detached: true, format: "binary" },
  });
  await Deno.writeFile(`${path}.sig`, signature);
  const signer = publicKey.getFingerprint().toUpperCase();
  return {
    entry: { kind: "image", name: "x", arch: "x86_64", sha256, size, signer },
    trust: { fingerprints: [signer], keyring: publicKey.write() },
  };
}

/** A server of its own process, so that it does not share a thread with what is measured. */
async function serve(served: string): Promise<AsyncDisposable & { readonly url: string }> {
  const script = `
import functools, http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
handler = functools.partial(Handler, directory=${JSON.stringify(served)})
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.serve_forever()
`;
  const child = new Deno.Command("python3", { args: ["-c", script], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return {
    url: `http://127.0.0.1:${new TextDecoder().decode(value).trim()}/`,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
    },
  };
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path, { read: true });
  for (;;) {
    const buffer = new Uint8Array(1 << 20);
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

async function shell(script: string): Promise<void> {
  await run("bash", ["-ec", script], { timeoutMs: 300_000 });
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await body();
  return performance.now() - startMs;
}
