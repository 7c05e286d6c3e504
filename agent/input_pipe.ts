import type { LaneChannel } from "../src/wire/lane.ts";
import type { LanePipes } from "./exec_lanes.ts";

/** O_CLOEXEC of open(2), the same on every architecture that banger's guests have. */
const closeOnExec = 0o2000000;

const symbols = {
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/**
 * A pipe from a lane to this process, for bytes that go on to a socket: a native program cannot be given a socket
 * of Deno's, and reading the port itself takes a turn of JavaScript for every 4 KiB. Made when a lane is offered.
 */
export class InputPipe implements LanePipes {
  #file: Deno.FsFile | undefined;
  #writer: number | undefined;

  /** Its writing end. Only what comes from the host can move to a lane. */
  descriptorOf(channel: LaneChannel): number | undefined {
    if (channel !== "stdin") return undefined;
    if (this.#writer === undefined) this.#make();
    return this.#writer;
  }

  /** The reading end, which ends when the lane's program does: its own is the only writing end from now on. */
  takeReader(): Deno.FsFile {
    this.#closeWriter();
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) throw new Error("no lane was offered");
    return file;
  }

  /** Closes what has not been taken. */
  close(): void {
    this.#closeWriter();
    this.#file?.close();
    this.#file = undefined;
  }

  #make(): void {
    const libc = Deno.dlopen("libc.so.6", symbols);
    try {
      const ends = new Int32Array(2);
      if (libc.symbols.pipe2(ends, closeOnExec) !== 0) return;
      const [reader, writer] = [ends[0]!, ends[1]!];
      this.#writer = writer;
      // Deno takes no descriptors; the kernel opens a pipe anew by this name (proc(5)).
      this.#file = Deno.openSync(`/proc/self/fd/${reader}`);
      libc.symbols.close(reader);
    } finally {
      libc.close();
    }
  }

  #closeWriter(): void {
    if (this.#writer === undefined) return;
    const libc = Deno.dlopen("libc.so.6", symbols);
    libc.symbols.close(this.#writer);
    libc.close();
    this.#writer = undefined;
  }
}
