import { findProgram } from "../../src/process/find_program.ts";
import { run } from "../../src/process/run.ts";

/** A gpg home of the test's own, with keys that sign without a passphrase. */
export class GpgHome implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Whether the programs are here. */
  static async isPossible(): Promise<boolean> {
    const found = await Promise.all(["gpg", "gpg-agent"].map((name) => findProgram(name)));
    return found.every((path) => path !== undefined);
  }

  static async make(): Promise<GpgHome> {
    // Short: the agent's socket is in it.
    return new GpgHome(await Deno.makeTempDir({ prefix: "bgpg-" }));
  }

  get env(): Record<string, string> {
    return { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", GNUPGHOME: this.path };
  }

  /** Makes a key; answers its fingerprint. */
  async makeKey(name: string): Promise<string> {
    const made = await this.gpg(
      ["--status-fd", "1", "--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", "never"],
    );
    const fingerprint = /KEY_CREATED P ([0-9A-F]{40})/.exec(new TextDecoder().decode(made))?.[1];
    if (fingerprint === undefined) throw new Error("gpg made no key");
    return fingerprint;
  }

  /** The public keys, as a keyring file has them. */
  exportKeys(...fingerprints: readonly string[]): Promise<Uint8Array> {
    return this.gpg(["--export", ...fingerprints]);
  }

  /** Signs `path` by every one of the keys, as one file of signatures. */
  sign(path: string, ...fingerprints: readonly string[]): Promise<Uint8Array> {
    const users = fingerprints.flatMap((each) => ["--local-user", each]);
    return this.gpg([...users, "--armor", "--output", "-", "--detach-sign", path]);
  }

  async gpg(args: readonly string[]): Promise<Uint8Array> {
    const options = { env: this.env, timeoutMs: 60_000 };
    return (await run("gpg", ["--batch", "--quiet", "--yes", ...args], options)).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("gpgconf", ["--kill", "gpg-agent"], { env: this.env, timeoutMs: 30_000 });
    await Deno.remove(this.path, { recursive: true });
  }
}
