import assert from "node:assert/strict";

/** A mount namespace of the test's own: what is mounted in it is seen only by what enters it. */
export class MountNamespace implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;

  private constructor(holder: Deno.ChildProcess) {
    this.#holder = holder;
  }

  /** Makes one with `mounts` (a shell script) done in it. Needs root. */
  static async make(mounts: string): Promise<MountNamespace> {
    const holder = new Deno.Command("unshare", {
      args: ["--mount", "sh", "-ec", `${mounts}\necho made; exec cat >/dev/null`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = holder.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    assert.equal(new TextDecoder().decode(value), "made\n", `cannot mount: ${mounts}`);
    return new MountNamespace(holder);
  }

  /** Words in front of a command line that runs it inside. */
  get via(): readonly string[] {
    return ["nsenter", "--mount", "--target", String(this.#holder.pid), "--wdns=/"];
  }

  /** Runs a shell script inside and answers what it printed. */
  async run(script: string): Promise<string> {
    const [program = "nsenter", ...args] = [...this.via, "sh", "-ec", script];
    const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  }

  /** Ends the process that holds it; it is gone when nothing else is in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.status;
  }
}
