import { readText } from "./files.ts";

/** `EXT4_IOC_RESIZE_FS`: `_IOW('f', 16, __u64)` of the kernel's fs/ext4/ext4.h. */
const resizeIoctl = 0x4008_6610n;
/** `f_type` of ext4, statfs(2). */
const ext4Magic = 0xef53n;
const sectorBytes = 512n;

const symbols = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  statfs: { parameters: ["buffer", "buffer"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
} as const;

/**
 * Grows the root file system, which is mounted, to its disk; does nothing when it is as large already. The
 * kernel does it by itself: a program for it would take longer to start. Returns what went wrong.
 */
export function growRoot(): string | undefined {
  const device = rootDevice(readText("/proc/mounts") ?? "");
  const sectors = Number(readText(`/sys/class/block/${device}/size`));
  if (device === undefined || !Number.isSafeInteger(sectors) || sectors === 0) {
    return "the root file system is on no disk of its own";
  }
  try {
    const libc = Deno.dlopen("libc.so.6", symbols);
    const failure = resize(libc.symbols, BigInt(sectors) * sectorBytes);
    libc.close();
    return failure;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function resize(
  libc: Deno.DynamicLibrary<typeof symbols>["symbols"],
  bytes: bigint,
): string | undefined {
  const root = new TextEncoder().encode("/\0");
  // On 64-bit machines struct statfs starts with f_type and f_bsize, and has 120 bytes.
  const facts = new BigUint64Array(32);
  if (libc.statfs(root, facts) !== 0) return "statfs failed";
  const [type = 0n, blockBytes = 0n] = facts;
  if (type !== ext4Magic || blockBytes === 0n) return "the root file system is not ext4";
  const fd = libc.open(root, 0);
  if (fd < 0) return "/ cannot be opened";
  const blocks = new BigUint64Array([bytes / blockBytes]);
  const failed = libc.ioctl(fd, resizeIoctl, blocks) !== 0;
  libc.close(fd);
  return failed ? "the kernel refused to resize the root file system" : undefined;
}

/** Name of the disk, without `/dev/`, that is mounted at `/`. */
export function rootDevice(mounts: string): string | undefined {
  return mounts.split("\n").map((line) => line.split(" "))
    .findLast(([device, directory]) => directory === "/" && /^\/dev\/[a-z0-9]+$/.test(device!))
    ?.[0]?.slice("/dev/".length);
}
