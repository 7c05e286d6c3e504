import type { Identity } from "./messages.ts";

/** One file of a guest's identity, as the kit's `identify` takes it. */
export interface IdentityFile {
  /** Without a directory. */
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

/**
 * An identity as a directory of files, most of them as they will be in the guest. The host puts them into
 * the guest's initrd, the agent writes them when it is told another identity later. What a guest does
 * not have has no file. `stamp` is the last: a directory without it is not whole.
 */
export function identityFiles(identity: Identity): readonly IdentityFile[] {
  const { hostname, machineId, hostKey, authorizedKeys, git, network } = identity;
  const files: IdentityFile[] = [];
  const add = (name: string, text: string, mode = 0o644) => files.push({ name, text, mode });
  add("hostname", `${hostname}\n`);
  add("machine-id", `${machineId}\n`);
  add("host_key", `${hostKey.privateKey.trimEnd()}\n`, 0o600);
  add("host_key.pub", `${hostKey.publicKey.trim()}\n`);
  add("authorized_keys", authorizedKeys.map((key) => `${key}\n`).join(""), 0o600);
  // A guest that had somebody's keeps it.
  add(git === null ? "gitconfig-without" : "gitconfig", gitConfig(git));
  if (network !== null) {
    const { mac, address, gateway, dns } = network;
    add("network", `${mac} ${address} ${gateway}\n`);
    if (dns.length > 0) add("resolv.conf", dns.map((ip) => `nameserver ${ip}\n`).join(""));
    // Keeps network managers of the image from undoing the address.
    add("systemd-network", `[Match]\nMACAddress=${mac}\n[Link]\nUnmanaged=yes\n`);
    add("network-manager", `[keyfile]\nunmanaged-devices=mac:${mac}\n`);
  }
  if (identity.growRoot) add("grow-root", "");
  add("stamp", `${identity.stamp}\n`);
  return files;
}

/** First line of banger's own `/etc/gitconfig`: a file without it is the image's. */
export const gitConfigMark = "# written by banger";

/** git-config(1): a value in quotes, with `"` and `\` escaped. */
function gitConfig(git: Identity["git"]): string {
  const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  const user = git === null
    ? ""
    : `[user]\n\tname = ${quoted(git.name)}\n\temail = ${quoted(git.email)}\n`;
  // Whoever works in a guest may use the repository in it, whosever it is.
  return `${gitConfigMark}\n${user}[safe]\n\tdirectory = *\n`;
}
