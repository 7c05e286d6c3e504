import { run } from "../process/run.ts";

/** An ed25519 key pair in OpenSSH's formats. */
export interface SshKeyPair {
  readonly privateKeyPath: string;
  /** PEM text. */
  readonly privateKey: string;
  /** One line, without a newline: type, key, comment. */
  readonly publicKey: string;
}

/**
 * The key pair at `path` and `path`.pub, made with ssh-keygen when there is none. It appears whole
 * or not at all; of several callers at once one wins and all get the same key. The directory must
 * exist and be the user's alone.
 *
 * @throws BangerError `precondition` when ssh-keygen is missing, `cancelled`
 */
export async function ensureSshKey(
  path: string,
  comment: string,
  signal: AbortSignal,
): Promise<SshKeyPair> {
  const found = await readKeyPair(path);
  if (found !== undefined) return found;
  const directory = path.slice(0, path.lastIndexOf("/")) || "/";
  const work = await Deno.makeTempDir({ dir: directory, prefix: ".key-" });
  try {
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", `${work}/key`], {
      signal,
      timeoutMs: 10_000,
    });
    await Deno.chmod(`${work}/key`, 0o600);
    await linkUnlessThere(`${work}/key`, path);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  // The winner's private key decides; its public half is derived again.
  const line = await publicLine(path, signal);
  await writeWhole(`${path}.pub`, `${line} ${comment}\n`);
  return {
    privateKeyPath: path,
    privateKey: await Deno.readTextFile(path),
    publicKey: `${line} ${comment}`,
  };
}

/** The line of a known_hosts file that pins `publicKey` for the host alias `vmId`. */
export function knownHostsLine(vmId: string, publicKey: string): string {
  return `${vmId} ${publicKey.split(" ").slice(0, 2).join(" ")}\n`;
}

async function readKeyPair(path: string): Promise<SshKeyPair | undefined> {
  try {
    const privateKey = await Deno.readTextFile(path);
    const publicKey = (await Deno.readTextFile(`${path}.pub`)).trim();
    return { privateKeyPath: path, privateKey, publicKey };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Gives `from` the name `to` unless something has it. */
async function linkUnlessThere(from: string, to: string): Promise<void> {
  try {
    await Deno.link(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

async function publicLine(path: string, signal: AbortSignal): Promise<string> {
  const { stdout } = await run("ssh-keygen", ["-y", "-P", "", "-f", path], {
    signal,
    timeoutMs: 10_000,
  });
  return new TextDecoder().decode(stdout).trim().split(" ").slice(0, 2).join(" ");
}

async function writeWhole(path: string, text: string): Promise<void> {
  const work = await Deno.makeTempFile({ dir: path.slice(0, path.lastIndexOf("/")) || "/" });
  await Deno.writeTextFile(work, text);
  await Deno.chmod(work, 0o644);
  await Deno.rename(work, path);
}
