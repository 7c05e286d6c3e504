import { removeIfThere } from "../files/remove_if_there.ts";
import { cpioArchive } from "./cpio.ts";

/** A file that a guest finds in `/seed` of its initramfs. */
export interface SeedFile {
  /** Without a directory. */
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

/** cpio archives begin at multiples of so many bytes. */
const alignment = 4;

/**
 * Writes the initrd of one start to `path`, readable by its owner only: the kernel's own one at `basePath`
 * with a second archive behind it, which the kernel unpacks over the first (Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst). What is in it needs no link to the guest.
 */
export async function writeSeededInitrd(
  path: string,
  basePath: string,
  seed: readonly SeedFile[],
): Promise<void> {
  const content = (text: string) => new TextEncoder().encode(text);
  const archive = cpioArchive([
    { type: "directory", path: "seed", mode: 0o700 },
    ...seed.map(({ name, text, mode }) => (
      { type: "file", path: `seed/${name}`, mode, content: content(text) } as const
    )),
  ]);
  const base = await Deno.readFile(basePath);
  const start = Math.ceil(base.length / alignment) * alignment;
  const all = new Uint8Array(start + archive.length);
  all.set(base);
  all.set(archive, start);
  await Deno.writeFile(path, all, { mode: 0o600 });
}

/** Removes what {@linkcode writeSeededInitrd} wrote; none is no error. */
export async function removeSeededInitrd(path: string): Promise<void> {
  await removeIfThere(path);
}
