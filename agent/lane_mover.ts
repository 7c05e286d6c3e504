import { killGroup } from "./signals.ts";
import { laneScript } from "./lane_script.ts";

/**
 * Bytes of a write. The guest's kernel keeps 1024 of them in its own memory while the host does not read;
 * a read from a port gives at most 4 KiB.
 */
const blocks = { in: "64k", out: "16k" } as const;

/** Which pipe and which port are to be joined. */
export interface LaneJoin {
  /** The guest kit's directory. */
  readonly kit: string;
  /** `in`: from the port to the pipe. */
  readonly way: "in" | "out";
  readonly pipe: string;
  readonly port: string;
  readonly nonce: string;
}

/** How the moving of bytes ended. */
export interface MoverEnd {
  /** Exit code of what moved them; 128 and the signal's number when a signal ended it. */
  readonly code: number;
  /** Exactly how many were written. */
  readonly bytes: number;
}

/** The native programs that move the bytes of one channel; see {@linkcode laneScript}. */
export class LaneMover {
  /** Whether the lane was joined; false when the programs ended before. */
  readonly ready: Promise<boolean>;
  /** Settles when nothing of it is left; `null` when it was aborted or broke. */
  readonly ended: Promise<MoverEnd | null>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ready = Promise.withResolvers<boolean>();
  readonly #moving = Promise.withResolvers<number>();
  #pid: number | undefined;
  #isAborted = false;
  #isOver = false;
  #end: MoverEnd | null = null;

  /** @throws when there is no such program */
  constructor({ kit, way, pipe, port, nonce }: LaneJoin) {
    this.#child = new Deno.Command(`${kit}/bin/setpriv`, {
      // An agent that dies must not leave a lane open.
      args: ["--pdeathsig", "KILL", `${kit}/bin/busybox`, "sh", "-c", laneScript],
      env: {
        KIT: kit,
        WAY: way,
        PIPE: pipe,
        PORT: port,
        NONCE: nonce,
        AGENT: `${Deno.pid}`,
        BLOCK: blocks[way],
      },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#stdin = this.#child.stdin.getWriter();
    this.ready = this.#ready.promise;
    this.ended = this.#run();
  }

  /** The process that moves the bytes, once there is one. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Whether it was ended on purpose, without a count. */
  get isAborted(): boolean {
    return this.#isAborted;
  }

  /** Begins to move bytes; only when it is ready. */
  go(): void {
    this.#stdin.write(new TextEncoder().encode("go\n")).catch(() => {});
  }

  /** Ends it while it moves bytes; how many it moved is known afterwards. */
  stop(): void {
    void this.#moving.promise.then((pid) => {
      try {
        if (this.#end === null) Deno.kill(pid, "SIGKILL");
      } catch {
        // It ended just now.
      }
    });
  }

  /** Ends all of it. Nothing happens when it has ended. */
  abort(): void {
    if (this.#isOver) return;
    this.#isAborted = true;
    killGroup(this.#child.pid, "SIGKILL");
  }

  async #run(): Promise<MoverEnd | null> {
    let text = "";
    for await (const chunk of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split("\n");
      text = lines.pop()!;
      for (const line of lines) this.#take(line);
    }
    this.#ready.resolve(false);
    await this.#stdin.close().catch(() => {});
    await this.#child.status;
    this.#isOver = true;
    return this.#isAborted ? null : this.#end;
  }

  #take(line: string): void {
    const [code, bytes] = line.split(" ").map(Number);
    if (line === "ready") this.#ready.resolve(true);
    else if (bytes !== undefined) this.#end = { code: code!, bytes };
    else this.#moving.resolve(this.#pid = code!);
  }
}
