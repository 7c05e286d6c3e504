/**
 * The built program under test, in a private home of its own.
 *
 * Owns: finding and running `build/bin/banger`. Must not import anything of `src`: the tests here
 * look at the build from outside.
 */

export const root = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
export const program = `${root}/build/bin/banger`;
export const isRoot = Deno.uid() === 0;

/** What a finished run left. */
export interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** How to run a program; only the environment given here is there. */
export interface RunAs {
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

const systemPath = "/usr/sbin:/usr/bin:/sbin:/bin";

/** Runs `path` with `args` to its end. */
export async function runProgram(
  path: string,
  args: readonly string[],
  { env, uid, gid }: RunAs,
): Promise<Finished> {
  const { code, stdout, stderr } = await new Deno.Command(path, {
    args: [...args],
    clearEnv: true,
    env: { PATH: systemPath, ...env },
    cwd: "/",
    stdin: "null",
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

/** A private directory to use as HOME, removed at the end of its scope. */
export class PrivateHome implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<PrivateHome> {
    return new PrivateHome(await Deno.makeTempDir({ prefix: "banger-home-" }));
  }

  get env(): Record<string, string> {
    return { HOME: this.path };
  }

  get runtimeDir(): string {
    return `${this.path}/.cache/banger/runtime`;
  }

  /** The unpacked parts: the directories named by a sha256. */
  async parts(): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const { name } of Deno.readDir(this.runtimeDir)) {
        if (/^[0-9a-f]{64}$/.test(name)) names.push(name);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return names.sort();
  }

  /** Directory of the unpacked part that has a file `name` (`deno`, `main.js`). */
  async partWith(name: string): Promise<string> {
    for (const part of await this.parts()) {
      const dir = `${this.runtimeDir}/${part}`;
      if (await Deno.stat(`${dir}/${name}`).then(() => true, () => false)) return dir;
    }
    throw new Error(`no part has ${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
