import type { ByteLink } from "../../src/wire/link.ts";
import { writeAll } from "../../src/wire/write_all.ts";

/** The agent as a process of its own, its file descriptors 0 and 1 in place of a serial port. */
export function startAgent(): { link: ByteLink; child: Deno.ChildProcess } {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "agent/main.ts", "serve", "--stdio"],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader({ mode: "byob" });
  const writer = child.stdin.getWriter();
  let queue: Promise<void> = Promise.resolve();
  const link: ByteLink = {
    async read(buffer) {
      const { value } = await reader.read(new Uint8Array(buffer.length)).catch(() => ({
        value: undefined,
      }));
      if (value === undefined || value.length === 0) return null;
      buffer.set(value);
      return value.length;
    },
    write: (bytes) => {
      const target = { write: (piece: Uint8Array) => writer.write(piece).then(() => piece.length) };
      queue = queue.then(() => writeAll(target, bytes.slice()));
      return queue;
    },
    close: () => {
      child.kill("SIGKILL");
      writer.close().catch(() => {});
    },
  };
  return { link, child };
}
