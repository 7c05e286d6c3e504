/**
 * The fake VMM as tests use it: compiled once, put beside a file that says what it does wrong.
 *
 * What it can be told is in fake_vmm.c. A machine without a C compiler cannot run these tests.
 */
import { createHash } from "node:crypto";

const sourceDir = new URL(".", import.meta.url).pathname;
/** Tests find VMMs by this name in command lines (`vmmPids`). */
const programName = "qemu-system-fake";

/** Whether it can be compiled here. */
export async function canCompile(): Promise<boolean> {
  try {
    return (await new Deno.Command("gcc", { args: ["--version"], stdout: "null" }).output())
      .success;
  } catch {
    return false;
  }
}

/** One copy of the program with its behaviour; what it plays is up to who starts it. */
export class FakeVmm {
  /** Absolute path, for `qemu_bin`. */
  readonly program: string;
  readonly #behaviour: string;

  private constructor(dir: string) {
    this.program = `${dir}/${programName}`;
    this.#behaviour = `${dir}/behaviour`;
  }

  /** Puts a copy into `dir`, through which every user must be able to pass. */
  static async in(dir: string): Promise<FakeVmm> {
    const fake = new FakeVmm(dir);
    await Deno.copyFile(await compiled(), fake.program);
    await Deno.chmod(fake.program, 0o755);
    return fake;
  }

  /** From now on it does this, one `POINT ACTION [ARGUMENT]` each; nothing: it behaves. */
  async behave(...lines: readonly string[]): Promise<void> {
    const next = `${this.#behaviour}.new`;
    await Deno.writeTextFile(next, lines.map((line) => `${line}\n`).join(""));
    await Deno.chmod(next, 0o644);
    await Deno.rename(next, this.#behaviour);
  }
}

/** Path of the compiled program, kept below the tests' cache for as long as its source is the same. */
async function compiled(): Promise<string> {
  const sources = (await Array.fromAsync(Deno.readDir(sourceDir), ({ name }) => name))
    .filter((name) => /\.[ch]$/.test(name)).sort();
  const hash = createHash("sha256");
  for (const name of sources) hash.update(await Deno.readFile(`${sourceDir}${name}`));
  const cache = `${Deno.env.get("HOME")}/.cache/banger-tests`;
  const path = `${cache}/fake-vmm-${hash.digest("hex").slice(0, 12)}`;
  try {
    await Deno.stat(path);
    return path;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.mkdir(cache, { recursive: true });
  const next = `${path}.${Deno.pid}`;
  const code = sources.filter((name) => name.endsWith(".c")).map((name) => `${sourceDir}${name}`);
  const { success, stderr } = await new Deno.Command("gcc", {
    args: [
      "-O1",
      "-Wall",
      "-Wno-format-truncation",
      "-Wno-stringop-truncation",
      "-o",
      next,
      ...code,
    ],
  }).output();
  if (!success) {
    throw new Error(`the fake VMM does not compile: ${new TextDecoder().decode(stderr)}`);
  }
  await Deno.rename(next, path);
  return path;
}
