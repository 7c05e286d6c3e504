import { BangerError } from "../model/errors.ts";
import type { RootfsFile } from "../images/examine_rootfs.ts";
import { type DeviceAccess, deviceAccess } from "../process/device_access.ts";
import type { BrokerHost, VmmDevice } from "./host_facts.ts";
import { type SessionLeader, sessionLeaders } from "../process/session_leaders.ts";
import { whenPassed } from "../sync/when_passed.ts";
import { type VmProcess, vmProcesses } from "../vmm/vm_processes.ts";
import { LibC } from "./libc.ts";
import { vmOwner } from "./vm_owner.ts";

/** socket(7): SOL_SOCKET, SO_PEERCRED and SO_ACCEPTCONN on x86_64 and aarch64. */
const solSocket = 1;
const soPeercred = 17;
const soAcceptconn = 30;
/** unix(7): AF_UNIX; `struct sockaddr_un` is this in two bytes, then the path. */
const afUnix = 1;
const sockaddrBytes = 110;
/** `struct ucred`: pid, uid, gid. */
const ucredBytes = 12;
const noUid = 0xffff_ffff;

/** close_range(2): set close-on-exec instead of closing (Linux 5.11). */
const closeRangeCloexec = 4;
const lastDescriptor = 0xffff_ffff;
/** How long what {@linkcode LocalHost.lookAhead} has seen is an answer. */
const aheadMs = 2_000;
/** How long it keeps this thread at once. */
const longestTurnMs = 8;
/** open(2): in `flags` of /proc/self/fdinfo (octal). */
const cloexecFlag = 0o2000000;

/** {@linkcode BrokerHost} of this host; needs every permission of Deno's, FFI included. */
export class LocalHost implements BrokerHost {
  readonly #uid: number;
  /** Where the sockets of the daemon and its VMs are. */
  readonly #runtimeDir: string;
  readonly #socketName: Uint8Array;
  /** What the calls below write into, made once: a thousand clients are looked at a hundred times. */
  readonly #call = callBuffers();
  #libc: LibC | undefined;
  /** The answer to the first {@linkcode vmProcesses}. */
  #ahead: { readonly found: Promise<readonly VmProcess[]>; readonly atMs: number } | undefined;

  /** `uid` is the daemon's user, `socketPath` where it listens. */
  constructor(uid: number, socketPath: string) {
    this.#uid = uid;
    this.#runtimeDir = socketPath.slice(0, socketPath.lastIndexOf("/"));
    this.#socketName = new TextEncoder().encode(socketPath);
  }

  async bootId(): Promise<string> {
    const text = await Deno.readTextFile("/proc/sys/kernel/random/boot_id");
    return text.trim();
  }

  async rootfsFile(path: string): Promise<RootfsFile> {
    const { examineRootfs } = await import("../images/examine_rootfs.ts");
    return await examineRootfs(path);
  }

  /**
   * Does at the daemon's start what the Worker is about to ask for: loads the C library, and with `hasVms` looks at the
   * process table, message by message. The daemon's lock must be held: nobody else starts VMs then, and what
   * an earlier daemon was about to start has been executed, since its child had the lock until then. Settles when it is done; never rejects.
   */
  async lookAhead(hasVms: boolean): Promise<void> {
    try {
      void this.#lib;
    } catch {
      // Who calls it is told.
    }
    if (!hasVms) return;
    const found = this.#lookInTurns();
    this.#ahead = { found, atMs: performance.now() };
    await found.catch(() => {});
  }

  async vmProcesses(): Promise<readonly VmProcess[]> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const isFresh = ahead !== undefined && performance.now() - ahead.atMs < aheadMs;
    return isFresh ? await ahead.found : this.#ofVms([...this.#leaders()]);
  }

  /** Lets this thread answer messages between. */
  async #lookInTurns(): Promise<readonly VmProcess[]> {
    const found: (SessionLeader | undefined)[] = [];
    let turnMs = performance.now();
    for (const leader of this.#leaders()) {
      found.push(leader);
      if (performance.now() - turnMs < longestTurnMs) continue;
      await new Promise<void>((resolve) => whenPassed(0, resolve));
      turnMs = performance.now();
    }
    return this.#ofVms(found);
  }

  #leaders(): Generator<SessionLeader | undefined> {
    const runtimeDir = this.#runtimeDir;
    // In a command line, a path may be written with its commas twice.
    return sessionLeaders(`${runtimeDir.slice(runtimeDir.lastIndexOf(",") + 1)}/`);
  }

  #ofVms(looked: readonly (SessionLeader | undefined)[]): readonly VmProcess[] {
    const leaders = looked.filter((one) => one !== undefined);
    const uids = new Map(leaders.map(({ handle, uid }) => [handle, uid]));
    // Root's VMs have users of their own; what is still about to become one of them is root's.
    return vmProcesses(leaders, this.#runtimeDir).filter(({ run, handle }) => {
      const uid = uids.get(handle);
      return uid === this.#uid || uid === vmOwner(this.#uid, run)?.uid;
    });
  }

  vmmDevice(path: VmmDevice): Promise<DeviceAccess> {
    return deviceAccess(path, this.#uid);
  }

  async vmmGroups(): Promise<readonly number[]> {
    const access = await this.vmmDevice("/dev/kvm");
    return access.state === "openable" && access.group !== null ? [access.group] : [];
  }

  // deno-lint-ignore require-await
  async sealDescriptors(): Promise<void> {
    this.#seal();
  }

  /**
   * Closes what this process inherited beyond its standard streams (a pipe of the shell or make
   * that started it would stay open as long as the daemon runs). Only at the start: descriptors of
   * Deno's own all have close-on-exec then.
   */
  closeInherited(): void {
    for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
      const fd = Number(name);
      if (fd > 2 && !isCloexec(fd)) this.#lib.close.call(fd);
    }
  }

  // deno-lint-ignore require-await
  async peerUids(): Promise<readonly number[]> {
    this.#seal();
    const uids = new Set<number>();
    for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
      const uid = this.#clientUid(Number(name));
      if (uid !== undefined) uids.add(uid);
    }
    return [...uids];
  }

  /** The user at the other end of `fd`; `undefined` when it is no connection to the daemon's socket. */
  #clientUid(fd: number): number | undefined {
    // The Worker may close a connection between two of these calls, and accept another one.
    for (let attempt = 0; attempt < 100; attempt++) {
      if (!this.#isOfOurSocket(fd) || this.#listens(fd)) return undefined;
      const uid = this.#peerUid(fd);
      if (uid !== undefined && this.#isOfOurSocket(fd)) return uid;
    }
    throw new BangerError("internal", `Cannot tell the user behind descriptor ${fd}`);
  }

  /** Whether `fd` is a socket with the address of the daemon's: an accepted connection has it, too. */
  #isOfOurSocket(fd: number): boolean {
    const { address, family, length } = this.#call;
    const socketName = this.#socketName;
    length[0] = sockaddrBytes;
    if (this.#lib.getsockname.call(fd, address, length) !== 0) return false;
    if (family[0] !== afUnix) return false;
    const end = 2 + socketName.length;
    // The name ends with the address, or with a NUL.
    const isWhole = length[0] === end || (length[0]! > end && address[end] === 0);
    return isWhole && socketName.every((byte, at) => address[2 + at] === byte);
  }

  #listens(fd: number): boolean {
    const { value, length } = this.#call;
    length[0] = value.byteLength;
    value[0] = 0;
    const status = this.#lib.getsockopt.call(fd, solSocket, soAcceptconn, value, length);
    return status === 0 && value[0] === 1;
  }

  #peerUid(fd: number): number | undefined {
    const { credentials, length } = this.#call;
    length[0] = ucredBytes;
    credentials.fill(noUid);
    const status = this.#lib.getsockopt.call(fd, solSocket, soPeercred, credentials, length);
    const uid = credentials[1];
    // An unconnected socket reports the uid -1, a failed call nothing.
    return status === 0 && length[0] === ucredBytes && uid !== noUid ? uid : undefined;
  }

  get #lib(): LibC {
    return this.#libc ??= new LibC();
  }

  #seal(): void {
    if (this.#lib.closeRange.call(3, lastDescriptor, closeRangeCloexec) === 0) return;
    throw new BangerError(
      "precondition",
      "Cannot keep descriptors private: close_range(2) failed",
      {
        hint: "banger needs Linux 5.11 or newer",
      },
    );
  }

  /**
   * Gives what the C library's heap holds unused back to the system (malloc_trim(3)), which it does
   * by itself only with its end. Parsing the program leaves several MiB of that.
   */
  trimMemory(): void {
    this.#lib.mallocTrim.call(0n);
  }

  /** Unloads what was loaded. */
  close(): void {
    this.#libc?.[Symbol.dispose]();
    this.#libc = undefined;
  }
}

function callBuffers() {
  const address = new Uint8Array(sockaddrBytes);
  return {
    address,
    family: new Uint16Array(address.buffer, 0, 1),
    length: new Int32Array(1),
    value: new Uint32Array(1),
    credentials: new Uint32Array(ucredBytes / 4),
  };
}

/** Open flags of a descriptor; `undefined` when it is closed by now. */
function flagsOf(fd: number): number | undefined {
  try {
    const text = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
    const octal = /^flags:\s*([0-7]+)$/m.exec(text)?.[1];
    return octal === undefined ? undefined : Number.parseInt(octal, 8);
  } catch {
    return undefined;
  }
}

function isCloexec(fd: number): boolean {
  return ((flagsOf(fd) ?? cloexecFlag) & cloexecFlag) !== 0;
}
