import { BangerError } from "../model/errors.ts";
import { type DeviceAccess, deviceAccess } from "../process/device_access.ts";
import type { BrokerHost, VmmDevice } from "./host_facts.ts";

/** socket(7): SOL_SOCKET and SO_PEERCRED on x86_64 and aarch64. */
const solSocket = 1;
const soPeercred = 17;
/** `struct ucred`: pid, uid, gid. */
const ucredBytes = 12;
const noUid = 0xffff_ffff;

/** close_range(2): set close-on-exec instead of closing (Linux 5.11). */
const closeRangeCloexec = 4;
const lastDescriptor = 0xffff_ffff;
/** open(2): in `flags` of /proc/self/fdinfo (octal). */
const cloexecFlag = 0o2000000;

const vmmDevices: readonly VmmDevice[] = ["/dev/kvm", "/dev/vhost-vsock"];

const symbols = {
  close: { parameters: ["i32"], result: "i32" },
  close_range: { parameters: ["u32", "u32", "i32"], result: "i32" },
  malloc_trim: { parameters: ["usize"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
} as const;

/** {@linkcode BrokerHost} of this host; needs every permission of Deno's, FFI included. */
export class LocalHost implements BrokerHost {
  readonly #uid: number;
  #libc: Deno.DynamicLibrary<typeof symbols> | undefined;

  /** `uid` is the daemon's user. */
  constructor(uid: number) {
    this.#uid = uid;
  }

  async bootId(): Promise<string> {
    const text = await Deno.readTextFile("/proc/sys/kernel/random/boot_id");
    return text.trim();
  }

  vmmDevice(path: VmmDevice): Promise<DeviceAccess> {
    return deviceAccess(path, this.#uid);
  }

  async vmmGroups(): Promise<readonly number[]> {
    const found = await Promise.all(vmmDevices.map((path) => this.vmmDevice(path)));
    const groups = found.flatMap((access) =>
      access.state === "openable" && access.group !== null ? [access.group] : []
    );
    return [...new Set(groups)];
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
      if (fd > 2 && flagsOf(fd) !== undefined && !isCloexec(fd)) this.#lib.close(fd);
    }
  }

  // deno-lint-ignore require-await
  async peerUid(fd: number): Promise<number> {
    this.#seal();
    const credentials = new Uint32Array(ucredBytes / 4);
    const length = new Int32Array([ucredBytes]);
    const status = this.#lib.getsockopt(fd, solSocket, soPeercred, credentials, length);
    const uid = credentials[1];
    // An unconnected socket reports the uid -1, a failed call nothing.
    if (status !== 0 || length[0] !== ucredBytes || uid === undefined || uid === noUid) {
      throw new BangerError("internal", `Cannot tell the user behind descriptor ${fd}`);
    }
    return uid;
  }

  get #lib() {
    this.#libc ??= Deno.dlopen("libc.so.6", symbols);
    return this.#libc.symbols;
  }

  #seal(): void {
    if (this.#lib.close_range(3, lastDescriptor, closeRangeCloexec) === 0) return;
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
    this.#lib.malloc_trim(0n);
  }

  /** Unloads what was loaded. */
  close(): void {
    this.#libc?.close();
    this.#libc = undefined;
  }
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
