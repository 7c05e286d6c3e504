import { sessionUser } from "../wire/messages.ts";
import { guestUser } from "./ssh_user.ts";

/** Which guest, and by which keys. */
export interface SshTarget {
  /** The VM's id: the name under which its host key is pinned. */
  readonly vmId: string;
  /** Loopback port that leads to the guest's ssh server. */
  readonly port: number;
  /** Private key that the guest knows. */
  readonly identityFile: string;
  /** File with the guest's own host key and nothing else, see `knownHostsLine`. */
  readonly knownHostsFile: string;
}

/** What is wanted of the connection. */
export interface SshWish {
  /** What the guest's agent keeps under this name (`vm.ssh`) is run; left out, a login shell of root's. */
  readonly session?: string;
  /** `force` gives a terminal to a command too, `none` never asks for one. */
  readonly terminal?: "auto" | "force" | "none";
}

/**
 * The argv, after `ssh` itself, that connects to a guest: no configuration file, no agent, no
 * other key, no proxy, no shared connection, and only the pinned host key (ssh_config(5)). One key
 * exchange and one key type make the connection quick on an emulated machine.
 */
export function sshArgs(target: SshTarget, wish: SshWish = {}): string[] {
  return [
    ...["-F", "/dev/null"],
    ...sshOptions(target).flatMap((option) => ["-o", option]),
    ...["-i", target.identityFile.replaceAll("%", "%%"), "-p", String(target.port)],
    ...(wish.terminal === "force" ? ["-t"] : wish.terminal === "none" ? ["-T"] : []),
    ...["--", `${wish.session === undefined ? guestUser : sessionUser}@127.0.0.1`],
    ...(wish.session === undefined ? [] : [wish.session]),
  ];
}

/** The options of {@linkcode sshArgs} as `Keyword=value`, also for a printed ssh configuration. */
export function sshOptions(target: SshTarget): string[] {
  return [
    "IdentityAgent=none",
    "IdentitiesOnly=yes",
    "CertificateFile=none",
    `UserKnownHostsFile=${optionPath(target.knownHostsFile)}`,
    "GlobalKnownHostsFile=/dev/null",
    "StrictHostKeyChecking=yes",
    `HostKeyAlias=${target.vmId}`,
    "HostKeyAlgorithms=ssh-ed25519",
    "CheckHostIP=no",
    "UpdateHostKeys=no",
    "KexAlgorithms=curve25519-sha256",
    "PreferredAuthentications=publickey",
    "ProxyCommand=none",
    "ProxyJump=none",
    "ControlMaster=no",
    "ControlPath=none",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "ServerAliveInterval=15",
    "LogLevel=ERROR",
  ];
}

/** A path in an option: quoted, with `%` doubled, since ssh expands tokens in it. */
function optionPath(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}
