import { BangerError } from "../model/errors.ts";
import { elfNeeds } from "./elf.ts";
import {
  kitLibraryPackages,
  type KitPackageEntry,
  type KitPackages,
  kitPrograms,
} from "./kit_packages.ts";

/** A file of the kit, by its path below `/.banger`. */
export type KitFiles = Map<string, { readonly bytes: Uint8Array; readonly mode: number }>;

/** Most bytes of one file of a package, and symbolic links followed to a library. */
const maxFileBytes = 64 * 1024 * 1024;
const maxLinks = 8;

/**
 * Takes the kit's programs and exactly the libraries that they and `roots` need from packages.
 *
 * @param roots other programs (Deno) whose libraries must be there, with their content
 * @throws BangerError `untrusted` when a package lacks what is needed; whatever `packages` throws
 */
export async function collectKitFiles(
  packages: KitPackages,
  roots: readonly { readonly label: string; readonly bytes: Uint8Array }[],
  onPackage: (done: number, total: number, name: string) => void,
  signal: AbortSignal,
): Promise<KitFiles> {
  const files: KitFiles = new Map();
  const libraries: Libraries = { content: new Map(), links: new Map() };
  const names = [...kitPrograms.map((program) => program.package), ...kitLibraryPackages];
  let done = 0;
  for (const name of names) {
    onPackage(done++, names.length, name);
    const deb = await packages.fetch(name, signal);
    const program = kitPrograms.find((each) => each.package === name);
    let found = program === undefined;
    for await (const entry of packages.entries(deb, signal)) {
      if (program?.from.includes(entry.path) && entry.type === "file") {
        files.set(program.to, { bytes: await readContent(entry), mode: 0o755 });
        found = true;
      } else if (program === undefined) await takeLibrary(libraries, entry);
    }
    if (!found) {
      throw new BangerError("untrusted", `Cannot use package "${name}": it has no ${program?.to}`);
    }
  }
  const programs = [...files].map(([label, file]) => ({ label, bytes: file.bytes }));
  addLibraries(files, libraries, [...programs, ...roots]);
  return files;
}

interface Libraries {
  readonly content: Map<string, Uint8Array>;
  /** File name to the file name that it links to. */
  readonly links: Map<string, string>;
}

const libraryPath = /^(usr\/)?lib(64)?\/([^/]+-linux-gnu\/)?([^/]+\.so(\.[^/]+)?)$/;

async function takeLibrary(libraries: Libraries, entry: KitPackageEntry): Promise<void> {
  const name = libraryPath.exec(entry.path)?.[4];
  if (name === undefined) return;
  if (entry.type === "file") libraries.content.set(name, await readContent(entry));
  if (entry.type !== "symlink") return;
  const target = new TextDecoder().decode(entry.link).split("/").at(-1)!;
  // The 64-bit loader has a link of its own name in another directory.
  if (target !== name) libraries.links.set(name, target);
}

function addLibraries(
  files: KitFiles,
  libraries: Libraries,
  roots: readonly { readonly label: string; readonly bytes: Uint8Array }[],
): void {
  const todo = roots.map(({ label, bytes }) => ({ label, needs: elfNeeds(bytes, label) }));
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { interpreter, needed } = next.needs;
    const names = interpreter === null ? needed : [...needed, interpreter.split("/").at(-1)!];
    for (const name of names) {
      const path = `lib/${name}`;
      if (files.has(path)) continue;
      const bytes = findLibrary(libraries, name);
      if (bytes === undefined) {
        throw new BangerError(
          "untrusted",
          `Cannot build the guest kit: "${next.label}" needs ${name}, which no package has`,
        );
      }
      files.set(path, { bytes, mode: 0o755 });
      todo.push({ label: name, needs: { ...elfNeeds(bytes, name), interpreter: null } });
    }
  }
}

function findLibrary(libraries: Libraries, name: string): Uint8Array | undefined {
  let current: string | undefined = name;
  for (let count = 0; current !== undefined && count < maxLinks; count++) {
    const bytes = libraries.content.get(current);
    if (bytes !== undefined) return bytes;
    current = libraries.links.get(current);
  }
  return undefined;
}

async function readContent(entry: KitPackageEntry): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of entry.content()) {
    total += chunk.length;
    if (total > maxFileBytes) {
      throw new BangerError("untrusted", `Cannot use "${entry.path}": it is too large`);
    }
    chunks.push(chunk);
  }
  const all = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
