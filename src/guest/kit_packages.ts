/** What a Debian package would install, as `debEntries` of `src/debian` yields it. */
export interface KitPackageEntry {
  readonly type: "file" | "directory" | "symlink" | "hardlink" | "other";
  /** Relative to `/`, checked. */
  readonly path: string;
  readonly link: Uint8Array;
  content(): AsyncIterable<Uint8Array>;
}

/** Where the kit's programs and libraries come from. */
export interface KitPackages {
  /** Path of the verified `.deb` of the newest version of the package `name`. */
  fetch(name: string, signal: AbortSignal): Promise<string>;
  /** Walks a package without unpacking it; a content is to be taken before the next entry. */
  entries(debPath: string, signal: AbortSignal): AsyncIterable<KitPackageEntry>;
}

/** The programs of the kit, by package: path in the package and path in the kit. */
export const kitPrograms: readonly {
  readonly package: string;
  /** Where it may be; packages move between `/bin` and `/usr/bin`. */
  readonly from: readonly string[];
  readonly to: string;
}[] = [
  { package: "busybox-static", from: ["bin/busybox", "usr/bin/busybox"], to: "bin/busybox" },
  { package: "util-linux", from: ["usr/bin/setpriv"], to: "bin/setpriv" },
  { package: "openssh-server", from: ["usr/sbin/sshd"], to: "sbin/sshd" },
  { package: "e2fsprogs", from: ["sbin/resize2fs", "usr/sbin/resize2fs"], to: "sbin/resize2fs" },
];

/** Packages (Debian 12) that hold the libraries of the programs and of Deno. */
export const kitLibraryPackages: readonly string[] = [
  "libaudit1",
  "libblkid1",
  "libc6",
  "libcap-ng0",
  "libcap2",
  "libcom-err2",
  "libcrypt1",
  "libext2fs2",
  "libgcc-s1",
  "libgcrypt20",
  "libgpg-error0",
  "libgssapi-krb5-2",
  "libk5crypto3",
  "libkeyutils1",
  "libkrb5-3",
  "libkrb5support0",
  "liblz4-1",
  "liblzma5",
  "libnsl2",
  "libpam0g",
  "libpcre2-8-0",
  "libselinux1",
  "libssl3",
  "libsystemd0",
  "libtirpc3",
  "libuuid1",
  "libwrap0",
  "libzstd1",
  "zlib1g",
];
