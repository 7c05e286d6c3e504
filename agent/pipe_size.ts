/** fcntl(2): F_SETPIPE_SZ. */
const setPipeSize = 1031;

/** What pipes of lanes hold: more than that is not allowed to programs without rights (pipe(7)). */
export const lanePipeBytes = 1024 * 1024;

const symbols = {
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
} as const;

/**
 * Makes a pipe of this process hold {@linkcode lanePipeBytes}. An emulated processor forgets its translated
 * code whenever it goes from one program to another: with a larger pipe, which takes fewer turns, bytes go
 * three times as fast. Where this does not work the pipe stays as it is.
 */
export function growPipe(fd: number): void {
  try {
    const libc = Deno.dlopen("libc.so.6", symbols);
    libc.symbols.fcntl(fd, setPipeSize, lanePipeBytes);
    libc.close();
  } catch {
    // Another C library.
  }
}
