/**
 * The parts of publishing that are not shell: `scripts/publish/publish.sh` calls this.
 *
 * usage: tool.ts make --kind KIND … --out FILE       writes a bundle, prints its sha256
 *        tool.ts check --bundle FILE … --keyring FILE  verifies a signature as `banger` will, prints
 *                                                    the signer's fingerprint
 *        tool.ts add --catalog FILE …                  puts an entry into a catalog
 *
 * Prints `publish: …` to stderr and ends with code 1 on failure.
 */
import { parseArgs } from "node:util";
import type { MemberName } from "../../src/bundles/bundle.ts";
import { checkKernel } from "../../src/bundles/check_kernel.ts";
import { type BundleSources, writeBundle } from "../../src/bundles/write_bundle.ts";
import { openSignature } from "../../src/catalog/detached_signature.ts";
import { extractVmlinux } from "../../src/kernels/extract_vmlinux.ts";
import { BangerError, isBangerError, reasonOf } from "../../src/model/errors.ts";
import { currentKit, currentKitFile } from "../../src/services/image/ensure_kit.ts";
import { addEntry } from "./add_entry.ts";

const never = new AbortController().signal;

/** The value of an option that must be there. */
function required(values: Readonly<Record<string, unknown>>, name: string): string {
  const value = values[name];
  if (typeof value === "string" && value !== "") return value;
  throw new BangerError("invalid", `Cannot publish: --${name} is missing`);
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found !== undefined) return found;
  throw new BangerError("invalid", `Cannot publish: --${name} must be ${allowed.join(" or ")}`);
}

function wholeNumber(name: string, value: string): number {
  if (/^[0-9]{1,12}$/.test(value)) return Number(value);
  throw new BangerError("invalid", `Cannot publish: --${name} must be a whole number`);
}

/** Which member a kernel's file is; one that cannot boot is not published. */
async function kernelMember(path: string, arch: "x86_64" | "aarch64"): Promise<MemberName> {
  const head = new Uint8Array(0x206);
  {
    using file = await Deno.open(path, { read: true });
    await file.read(head);
  }
  const isBzImage = new TextDecoder("latin1").decode(head.subarray(0x202)) === "HdrS";
  if (!isBzImage) {
    await checkKernel(path, arch, "to be published", path);
    return "vmlinux";
  }
  if (arch !== "x86_64") {
    throw new BangerError("invalid", `Cannot publish "${path}": it is a kernel for x86_64`);
  }
  await extractVmlinux(await Deno.readFile(path));
  return "bzImage";
}

/** The key of a kit, which the `current.json` beside it tells. */
async function kitKeyOf(path: string): Promise<string> {
  const slash = path.lastIndexOf("/");
  const kit = await currentKit(slash < 0 ? "." : path.slice(0, slash));
  if (kit !== undefined && kit.file === path.slice(slash + 1)) return kit.key;
  throw new BangerError(
    "invalid",
    `Cannot publish "${path}": no ${currentKitFile} beside it says that it is the current kit`,
    { hint: "Give the kit where banger has it: ~/.local/state/banger/kits/kit-DIGEST.ext4" },
  );
}

async function make(args: string[]): Promise<string> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      ...{ out: text, kind: text, name: text, arch: text, created: text, level: text },
      ...{ "kernel-name": text, version: text, "command-line": text, kernel: text },
      ...{ rootfs: text, initrd: text, modules: text, "work-seed": text, kit: text },
    },
  });
  const arch = oneOf("arch", required(values, "arch"), ["x86_64", "aarch64"]);
  const kernel = required(values, "kernel");
  const files: { -readonly [K in keyof BundleSources["files"]]: BundleSources["files"][K] } = {};
  files[await kernelMember(kernel, arch)] = kernel;
  const members = {
    "rootfs.ext4": values.rootfs,
    "initrd.img": values.initrd,
    "modules.ext4": values.modules,
    "work-seed.tar": values["work-seed"],
    "kit.ext4": values.kit,
  };
  for (const [name, path] of Object.entries(members)) {
    if (path !== undefined) files[name as MemberName] = path;
  }
  const written = await writeBundle({
    metadata: {
      kind: oneOf("kind", required(values, "kind"), ["image", "kernel"]),
      name: required(values, "name"),
      arch,
      kernel: {
        name: required(values, "kernel-name"),
        version: required(values, "version"),
        commandLine: (values["command-line"] ?? "").split(/\s+/).filter((word) => word !== ""),
      },
      kitKey: values.kit === undefined ? null : await kitKeyOf(values.kit),
      createdAtMs: wholeNumber("created", required(values, "created")) * 1000,
    },
    files,
  }, {
    path: required(values, "out"),
    level: wholeNumber("level", values.level ?? "15"),
    signal: never,
  });
  return written.sha256;
}

async function check(args: string[]): Promise<string> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: { bundle: text, signature: text, keyring: text, key: text },
  });
  const path = required(values, "bundle");
  const signature = await openSignature({
    what: `"${path}"`,
    signature: await Deno.readFile(required(values, "signature")),
    trust: {
      fingerprints: [required(values, "key")],
      keyring: await Deno.readFile(required(values, "keyring")),
    },
    nowMs: Date.now(),
  });
  await signature.verify((await Deno.open(path, { read: true })).readable);
  return signature.fingerprint;
}

async function add(args: string[]): Promise<string> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      ...{ catalog: text, kind: text, name: text, arch: text, url: text },
      ...{ sha256: text, size: text, signature: text, signer: text },
    },
  });
  const catalog = required(values, "catalog");
  const count = await addEntry(catalog, {
    kind: oneOf("kind", required(values, "kind"), ["image", "kernel"]),
    name: required(values, "name"),
    arch: oneOf("arch", required(values, "arch"), ["x86_64", "aarch64"]),
    url: required(values, "url"),
    sha256: required(values, "sha256"),
    size: wholeNumber("size", required(values, "size")),
    signature: required(values, "signature"),
    signer: required(values, "signer"),
  });
  return `${catalog}: ${count} ${count === 1 ? "entry" : "entries"}`;
}

const commands: Readonly<Record<string, (args: string[]) => Promise<string>>> = {
  make,
  check,
  add,
};

if (import.meta.main) {
  const [name = "", ...args] = Deno.args;
  const write = (stream: typeof Deno.stdout, line: string) =>
    stream.writeSync(new TextEncoder().encode(`${line}\n`));
  try {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command === undefined) throw new BangerError("invalid", `Cannot do "${name}"`);
    write(Deno.stdout, await command(args));
  } catch (error) {
    write(Deno.stderr, `publish: ${reasonOf(error)}`);
    if (isBangerError(error) && error.detail !== undefined) write(Deno.stderr, error.detail);
    Deno.exit(1);
  }
}
