import { type Identity, networkFile, stewardFifo } from "../src/wire/messages.ts";
import type { AgentContext } from "./context.ts";
import { exists, makeDirectory, readText, tell, writeText } from "./files.ts";
import { sshReady } from "./health.ts";
import { identityScript } from "./identity_script.ts";
import { busybox } from "./tool.ts";

/** A moment in which a command that comes right after the identity is started. */
const serversDelayMs = 150;

/**
 * Makes the guest who the host says it is: files first, then what needs programs. At the first start
 * the kit's init has set up the network and only waits to be told the time and to start the ssh
 * server, so that no program has to be started here; else (another network, a disk to grow, a second
 * identity) one run of {@linkcode identityScript} does it. Can be given again.
 */
export async function applyIdentity(
  context: AgentContext,
  identity: Identity,
): Promise<{ sshReady: boolean; tookMs: number }> {
  const startMs = performance.now();
  const { network } = identity;
  setHostname(context.root, identity.hostname);
  writeFilesOfPrograms(context.root, identity);
  // A step of less than a second is left to the clock that the kernel read when it started.
  const clockOff = Math.abs(Date.now() - identity.clockMs) >= 1000;
  const clock = clockOff ? `@${Math.round(identity.clockMs / 1000)}` : "";
  const told = tell(`${context.root}${stewardFifo}`, clock);
  if (told && !identity.growRoot && hasNetwork(context.root, network)) {
    // The first command often comes with the answer, and needs none of these.
    setTimeout(() => {
      writeFilesOfServers(context.root, identity);
      tell(`${context.root}${stewardFifo}`);
    }, serversDelayMs);
  } else {
    writeFilesOfServers(context.root, identity);
    tell(`${context.root}${stewardFifo}`);
    await busybox(context, ["sh", "-c", identityScript], {
      KIT: context.kit,
      ROOT: context.root,
      CLOCK: told ? "" : clock,
      MAC: network?.mac ?? "",
      ADDRESS: network?.address ?? "",
      GATEWAY: network?.gateway ?? "",
      GROW: identity.growRoot ? "1" : "",
      SSH: told ? "" : "1",
    });
  }
  const first = !context.isIdentified;
  context.isIdentified = true;
  if (first) context.onIdentity();
  return { sshReady: sshReady(context), tookMs: Math.round(performance.now() - startMs) };
}

/** Written without O_TRUNC and O_CREAT, which a file below /proc/sys does not take. */
function setHostname(root: string, hostname: string): void {
  using file = Deno.openSync(`${root}/proc/sys/kernel/hostname`, { write: true });
  file.writeSync(new TextEncoder().encode(hostname));
}

/** Whether the kit's init has set up this very network. */
function hasNetwork(root: string, network: Identity["network"]): boolean {
  if (network === null) return true;
  const { mac, address, gateway } = network;
  return readText(`${root}${networkFile}`)?.trim() === `${mac},${address},${gateway}`;
}

/** Writes those files below `root` that any program may look at. */
export function writeFilesOfPrograms(root: string, identity: Identity): void {
  const { hostname, machineId, network } = identity;
  writeHosts(`${root}/etc/hosts`, hostname);
  if (readText(`${root}/etc/machine-id`)?.trim() !== machineId) {
    replaceFile(`${root}/etc/machine-id`, `${machineId}\n`);
  }
  if (identity.git !== null) writeGit(`${root}/etc/gitconfig`, identity.git);
  const servers = (network?.dns ?? []).map((ip) => `nameserver ${ip}\n`).join("");
  if (servers !== "") replaceFile(`${root}/etc/resolv.conf`, servers);
}

/** Writes those files below `root` that the ssh server, and the image's init at its start, look at. */
export function writeFilesOfServers(root: string, identity: Identity): void {
  const { hostname, hostKey, network } = identity;
  writeText(`${root}/etc/hostname`, `${hostname}\n`);
  const ssh = `${root}/run/banger/ssh`;
  makeDirectory(ssh, 0o700);
  const privateKey = hostKey.privateKey.endsWith("\n")
    ? hostKey.privateKey
    : `${hostKey.privateKey}\n`;
  writeText(`${ssh}/host_key`, privateKey, 0o600);
  writeText(`${ssh}/host_key.pub`, `${hostKey.publicKey.trim()}\n`);
  const keys = identity.authorizedKeys.map((key) => `${key}\n`).join("");
  writeText(`${ssh}/authorized_keys`, keys, 0o600);
  addSshdUser(root);
  if (network !== null) leaveAlone(root, network.mac);
}

function writeHosts(path: string, hostname: string): void {
  const old = readText(path) ?? "127.0.0.1\tlocalhost\n::1\tlocalhost\n";
  const kept = old.split("\n").filter((line) => line !== "" && !/^127\.0\.1\.1\s/.test(line));
  replaceFile(path, [...kept, `127.0.1.1\t${hostname}`, ""].join("\n"));
}

/** Writes a file; a link of that name (to a resolver that does not run yet) is replaced by it. */
function replaceFile(path: string, text: string): void {
  if (exists(path) && Deno.lstatSync(path).isSymlink) Deno.removeSync(path);
  writeText(path, text);
}

/** The ssh server drops its privileges to this user (sshd(8)); images without ssh lack it. */
function addSshdUser(root: string): void {
  const path = `${root}/etc/passwd`;
  const old = readText(path) ?? "root:x:0:0:root:/root:/bin/sh\n";
  if (/^sshd:/m.test(old)) return;
  const line = "sshd:x:74:65534:sshd:/run/sshd:/usr/sbin/nologin\n";
  writeText(path, `${old}${old === "" || old.endsWith("\n") ? "" : "\n"}${line}`);
}

/** System-wide git settings, unless the image has its own. */
function writeGit(path: string, git: { readonly name: string; readonly email: string }): void {
  const marker = "# written by banger";
  const old = readText(path);
  if (old !== undefined && !old.startsWith(marker)) return;
  const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  writeText(
    path,
    `${marker}\n[user]\n\tname = ${quoted(git.name)}\n\temail = ${quoted(git.email)}\n` +
      "[safe]\n\tdirectory = *\n",
  );
}

/** Keeps network managers of the image from undoing the address. */
function leaveAlone(root: string, mac: string): void {
  writeText(
    `${root}/run/systemd/network/00-banger.network`,
    `[Match]\nMACAddress=${mac}\n[Link]\nUnmanaged=yes\n`,
  );
  writeText(
    `${root}/run/NetworkManager/conf.d/00-banger.conf`,
    `[keyfile]\nunmanaged-devices=mac:${mac}\n`,
  );
}
