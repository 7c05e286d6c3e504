import { gzipSync } from "node:zlib";
import { run } from "../../src/process/run.ts";

/** One thing in a fixture package. */
export interface TarFixture {
  readonly name: string;
  /** `0` file, `5` directory, `2` symbolic link. */
  readonly type?: "0" | "5" | "2";
  readonly content?: Uint8Array;
  readonly link?: string;
}

/** A tar archive of `entries` in the ustar form, with its end mark. */
export function tarFixture(entries: readonly TarFixture[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    const content = entry.content ?? new Uint8Array(0);
    const padding = new Uint8Array((512 - (content.length % 512)) % 512);
    return [tarHeader(entry, content.length), content, padding];
  });
  return joined([...parts, new Uint8Array(1024)]);
}

function tarHeader(entry: TarFixture, bytes: number): Uint8Array {
  const header = new Uint8Array(512);
  const put = (text: string, at: number) => header.set(new TextEncoder().encode(text), at);
  put(entry.name, 0);
  put("0000644\0", 100);
  put(`${bytes.toString(8).padStart(11, "0")}\0`, 124);
  put(" ".repeat(8), 148);
  put(entry.type ?? "0", 156);
  put(entry.link ?? "", 157);
  put("ustar\0" + "00", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

/** An `ar` archive with the given members. */
export function arFixture(members: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const encoder = new TextEncoder();
  return joined([
    encoder.encode("!<arch>\n"),
    ...members.flatMap(([name, content]) => [
      encoder.encode(
        `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}` +
          `${String(content.length).padEnd(10)}\`\n`,
      ),
      content,
      new Uint8Array(content.length % 2).fill(0x0a),
    ]),
  ]);
}

/** A Debian package that installs `entries`. */
export async function debFixture(entries: readonly TarFixture[]): Promise<Uint8Array> {
  const packed = await run("xz", ["-c"], { stdin: tarFixture(entries) });
  return arFixture([
    ["debian-binary", new TextEncoder().encode("2.0\n")],
    ["control.tar.xz", new Uint8Array(7)],
    ["data.tar.xz", packed.stdout],
  ]);
}

/** A 64-bit ELF file that has only a `.modinfo` section, with these lines. */
export function moduleFixture(lines: readonly string[]): Uint8Array {
  const modinfo = new TextEncoder().encode(lines.map((line) => `${line}\0`).join(""));
  const names = new TextEncoder().encode("\0.shstrtab\0.modinfo\0");
  const table = 64 + modinfo.length + names.length;
  const file = new Uint8Array(table + 3 * 64);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setBigUint64(40, BigInt(table), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 3, true);
  view.setUint16(62, 1, true);
  file.set(modinfo, 64);
  file.set(names, 64 + modinfo.length);
  const section = (index: number, name: number, offset: number, size: number) => {
    view.setUint32(table + index * 64, name, true);
    view.setBigUint64(table + index * 64 + 24, BigInt(offset), true);
    view.setBigUint64(table + index * 64 + 32, BigInt(size), true);
  };
  section(1, 1, 64 + modinfo.length, names.length);
  section(2, 11, 64, modinfo.length);
  return file;
}

/** A bzImage whose payload is `plain`, packed by gzip. */
export function bzImageFixture(plain: Uint8Array): Uint8Array {
  return bzImageOf(gzipSync(plain));
}

/** A bzImage with the payload as it is. */
export function bzImageOf(payload: Uint8Array): Uint8Array {
  const start = 5 * 512 + 64;
  const image = new Uint8Array(start + payload.length);
  const view = new DataView(image.buffer);
  view.setUint8(0x1f1, 4);
  view.setUint16(0x1fe, 0xaa55, true);
  image.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, 0x20f, true);
  view.setUint32(0x248, 64, true);
  view.setUint32(0x24c, payload.length, true);
  image.set(payload, start);
  return image;
}

/** What a fixture kernel's uncompressed form is. */
export const plainKernelFixture: Uint8Array = new TextEncoder().encode(
  "\x7fELF kernel of the tests",
);

/** Release name of {@linkcode kernelDebFixture}. */
export const kernelReleaseFixture = "6.1.0-99-cloud-amd64";

/** A package like Debian's cloud kernel, with tiny modules. */
export function kernelDebFixture(): Promise<Uint8Array> {
  const text = (content: string) => new TextEncoder().encode(content);
  const root = `./lib/modules/${kernelReleaseFixture}`;
  const modules: readonly (readonly [string, string])[] = [
    ["drivers/virtio/virtio_ring", "depends="],
    ["drivers/virtio/virtio", "depends=virtio_ring"],
    ["drivers/virtio/virtio_mmio", "depends=virtio,virtio_ring"],
    ["drivers/block/virtio_blk", "depends=virtio,virtio_ring"],
    ["drivers/char/virtio_console", "depends=virtio,virtio_ring"],
    ["drivers/char/hw_random/virtio-rng", "depends=virtio"],
    ["drivers/net/virtio_net", "depends=virtio"],
  ];
  return debFixture([
    { name: "./", type: "5" },
    { name: `./boot/vmlinuz-${kernelReleaseFixture}`, content: bzImageFixture(plainKernelFixture) },
    { name: "./usr/share/doc/anything", content: text("not taken") },
    { name: `${root}/modules.builtin`, content: text("kernel/fs/ext4/ext4.ko\n") },
    { name: `${root}/modules.order`, content: text("kernel/drivers/virtio/virtio.ko\n") },
    ...modules.map(([path, depends]): TarFixture => ({
      name: `${root}/kernel/${path}.ko`,
      content: moduleFixture([depends, `alias=virtio:${path.length}-*`]),
    })),
  ]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
