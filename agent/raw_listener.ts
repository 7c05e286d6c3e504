import { agentRawPort } from "../src/wire/messages.ts";
import { exists, makeDirectory, readText, writeText } from "./files.ts";

/** How often, and how long, it is looked whether the listener is there. */
const lookMs = 20;
const looks = 250;

/** A listener that ended is not started again before so long. */
const restartMs = 10_000;

/** Connections at once, those without a good ticket included; those are closed after 2 s. */
const maxConnections = 48;

/** A program that serves raw connections and the file by which one finds that it does. */
export interface RawListenerCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** Guest TCP port. */
  readonly port: number;
}

/** socat on {@linkcode agentRawPort}, which runs the kit's `raw-join` on each connection itself. */
export function socatCommand(kit: string, over: "tcp" | "vsock" = "tcp"): RawListenerCommand {
  const fork = `fork,max-children=${maxConnections}`;
  const listen = over === "tcp"
    ? `TCP4-LISTEN:${agentRawPort},reuseaddr,nodelay,${fork}`
    : `VSOCK-LISTEN:${agentRawPort},${fork}`;
  const args = [listen, `EXEC:${kit}/sbin/raw-join,nofork`];
  return { program: `${kit}/bin/socat`, args, port: agentRawPort };
}

/**
 * The native program that takes raw connections. It is started when the first exec moves enough
 * bytes, and outlives this process: a later agent finds it by its pid file.
 */
export class RawListener {
  /** Where tickets are; for root only. */
  readonly dir: string;
  readonly #command: RawListenerCommand;
  readonly #vsock: RawListenerCommand | null;
  #state: "idle" | "starting" | "up" = "idle";
  #notBeforeMs = 0;

  constructor(dir: string, command: RawListenerCommand, vsock: RawListenerCommand | null = null) {
    this.dir = dir;
    this.#command = command;
    this.#vsock = vsock;
  }

  /** Whether it listens; the first call starts it. */
  isUp(): boolean {
    if (this.#state === "idle" && performance.now() >= this.#notBeforeMs) void this.#start();
    return this.#state === "up";
  }

  async #start(): Promise<void> {
    this.#state = "starting";
    try {
      makeDirectory(this.dir, 0o700);
      if (this.#vsock !== null && exists("/dev/vsock")) this.#spawn(this.#vsock, "vsock");
      const ended = this.#spawn(this.#command, "tcp");
      let isOver = false;
      ended.then(() => {
        isOver = true;
        this.#down();
      });
      for (let look = 0; look < looks && !isOver; look++) {
        if (isListening(this.#command.port)) {
          this.#state = "up";
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, lookMs));
      }
      this.#down();
    } catch {
      // Not in this kit, or no memory: the agent link carries the bytes.
      this.#down();
    }
  }

  #down(): void {
    this.#state = "idle";
    this.#notBeforeMs = performance.now() + restartMs;
  }

  /** Starts it unless an earlier agent did. Settles when it has ended. */
  #spawn(command: RawListenerCommand, name: string): Promise<unknown> {
    const pidFile = `${this.dir}/${name}.pid`;
    const last = Number(readText(pidFile));
    if (last > 0 && readText(`/proc/${last}/comm`)?.trim() === "socat") {
      return new Promise(() => {});
    }
    const child = new Deno.Command(command.program, {
      args: [...command.args],
      env: { RAW_DIR: this.dir },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    child.unref();
    writeText(pidFile, `${child.pid}\n`, 0o600);
    return child.status;
  }
}

/** Whether a TCP socket listens on `port` (proc(5), /proc/net/tcp and tcp6: state 0A). */
function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const line = new RegExp(`^ *\\d+: [0-9A-F]+:${hex} 0+:0000 0A `, "m");
  return ["tcp", "tcp6"].some((name) => line.test(readText(`/proc/net/${name}`) ?? ""));
}
