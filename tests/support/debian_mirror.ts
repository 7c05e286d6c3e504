import { createHash } from "node:crypto";
import { createCleartextMessage, generateKey, type PrivateKey, sign } from "openpgp";
import { run } from "../../src/process/run.ts";
import { kernelDebFixture, kernelReleaseFixture } from "./deb_fixture.ts";

/** What is wrong with a fixture mirror; a good one when all are left out. */
export interface MirrorFaults {
  /** The signature is made by a key that is not in the keyring. */
  readonly unknownKey?: boolean;
  /** A byte of the signed text is changed after signing. */
  readonly tampered?: boolean;
  readonly unsigned?: boolean;
  /** Valid-Until lies in the past. */
  readonly expired?: boolean;
  readonly otherSuite?: boolean;
  /** `Packages` promises another hash than the package has. */
  readonly wrongPackageHash?: boolean;
  /** `Packages` promises another size than the package has. */
  readonly wrongPackageSize?: boolean;
  /** Half of the package is served, as if it were whole. */
  readonly cutPackage?: boolean;
  /** The connection breaks in the middle of the package, this many times. */
  readonly brokenConnections?: number;
  /** The index served is not the one that was signed. */
  readonly wrongIndex?: boolean;
}

/** A signed Debian archive on loopback, with one kernel in it. */
export interface MirrorFixture extends AsyncDisposable {
  readonly url: string;
  readonly keyringPath: string;
  /** Paths that were asked for, in order. */
  readonly requests: readonly string[];
}

/** When the keys were made and the archive was signed. */
const signedAt = new Date("2026-01-01T00:00:00Z");

/** The key pairs are made once for all mirrors of a test run. */
const keys = new Map<string, Promise<{ privateKey: PrivateKey; publicKey: Uint8Array }>>();

function keyOf(name: string) {
  const made = keys.get(name) ?? generateKey({
    userIDs: [{ name }],
    format: "object",
    date: signedAt,
  }).then(({ privateKey, publicKey }) => ({ privateKey, publicKey: publicKey.write() }));
  keys.set(name, made);
  return made;
}

/** Serves an archive with the given faults until it is disposed of; its files go into `directory`. */
export async function debianMirror(
  directory: string,
  faults: MirrorFaults = {},
): Promise<MirrorFixture> {
  const files = await archiveFiles(faults);
  const keyringPath = `${directory}/keyring.gpg`;
  await Deno.writeFile(keyringPath, (await keyOf("archive")).publicKey);
  const requests: string[] = [];
  let toBreak = faults.brokenConnections ?? 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const path = new URL(request.url).pathname.replace(/^\/debian\//, "");
    requests.push(path);
    const content = files.get(path);
    if (content === undefined) return new Response("not here", { status: 404 });
    if (path.endsWith(".deb") && toBreak > 0) {
      toBreak--;
      return brokenResponse(content);
    }
    return new Response(new Uint8Array(content));
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/debian`,
    keyringPath,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function brokenResponse(content: Uint8Array): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(content.slice(0, content.length / 2));
    },
    pull(controller) {
      controller.error(new Error("the test breaks this connection"));
    },
  });
  return new Response(body, { headers: { "content-length": String(content.length) } });
}

async function archiveFiles(faults: MirrorFaults): Promise<Map<string, Uint8Array>> {
  const deb = await kernelDebFixture();
  const filename = `pool/main/l/linux/linux-image-${kernelReleaseFixture}_6.1.99-1_amd64.deb`;
  const hash = faults.wrongPackageHash === true ? "0".repeat(64) : sha256(deb);
  const size = faults.wrongPackageSize === true ? deb.length + 1 : deb.length;
  const packages = `Package: linux-image-cloud-amd64
Version: 6.1.99-1
Architecture: amd64
Depends: linux-image-${kernelReleaseFixture} (= 6.1.99-1)
Filename: pool/main/l/linux/meta.deb
Size: 1
SHA256: ${"1".repeat(64)}

Package: linux-image-${kernelReleaseFixture}
Version: 6.1.99-1
Architecture: amd64
Filename: ${filename}
Size: ${size}
SHA256: ${hash}
`;
  const index = (await run("xz", ["-c"], { stdin: new TextEncoder().encode(packages) })).stdout;
  const served = faults.wrongIndex === true ? index.toReversed() : index;
  const release = `Origin: Tests
Suite: ${faults.otherSuite === true ? "stable" : "oldstable"}
Codename: ${faults.otherSuite === true ? "trixie" : "bookworm"}
Date: Thu, 01 Jan 2026 00:00:00 UTC
${faults.expired === true ? "Valid-Until: Fri, 02 Jan 2026 00:00:00 UTC\n" : ""}Acquire-By-Hash: yes
SHA256:
 ${sha256(index)} ${index.length} main/binary-amd64/Packages.xz
`;
  return new Map([
    ["dists/bookworm/InRelease", new TextEncoder().encode(await signedRelease(release, faults))],
    [`dists/bookworm/main/binary-amd64/by-hash/SHA256/${sha256(index)}`, served],
    [filename, faults.cutPackage === true ? deb.slice(0, deb.length / 2) : deb],
  ]);
}

async function signedRelease(release: string, faults: MirrorFaults): Promise<string> {
  if (faults.unsigned === true) return release;
  const { privateKey } = await keyOf(faults.unknownKey === true ? "stranger" : "archive");
  const message = await createCleartextMessage({ text: release });
  const signed = await sign({ message, signingKeys: privateKey, date: signedAt });
  return faults.tampered === true ? signed.replace("Origin: Tests", "Origin: Tasts") : signed;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
