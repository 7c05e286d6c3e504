import type { MuxStream } from "../src/wire/mux_stream.ts";
import { writeAll } from "../src/wire/write_all.ts";
import { abortConnection } from "./abort_connection.ts";
import type { AgentContext } from "./context.ts";
import { ExecLanes } from "./exec_lanes.ts";
import { Failure } from "./failure.ts";
import { InputPipe } from "./input_pipe.ts";
import type { LaneMover } from "./lane_mover.ts";
import { tcpSockets } from "./listeners.ts";
import { addressText } from "./ports.ts";
import { sleep } from "./sleep.ts";

/** Bytes of one read of the connection, and of a lane's pipe. */
const chunkBytes = { connection: 64 * 1024, lane: 256 * 1024 } as const;

/** How long one address may take: a firewall of the guest may throw packets away. */
const connectMs = 5_000;

/**
 * Joins `stream` to a connection to what listens on `port` of this guest. Settles when both directions have
 * come to their end; whatever ends the stream before resets the connection. Much of what comes from the host
 * moves to a lane.
 *
 * @throws Failure `not_found` when nothing listens there; `internal` when the connection broke: what came until
 * then has been sent
 */
export async function forward(
  context: AgentContext,
  port: number,
  stream: MuxStream,
): Promise<void> {
  const conn = await connect(context, port);
  const pipe = new InputPipe();
  const lanes = new ExecLanes(context, stream, pipe);
  stream.onControl = (message) => lanes.onControl(message);
  let isOver = false;
  const abort = () => {
    if (isOver) return;
    isOver = true;
    abortConnection(context.root, conn);
  };
  void stream.ended.then(() => {
    abort();
    void lanes.end();
  });
  try {
    const taking = take(stream, conn, lanes, pipe);
    // The end of what the program says comes first; then it may still be listening.
    if (!await give(conn, stream) || !await taking) {
      throw new Failure("internal", "the connection was reset");
    }
    isOver = true;
    conn.close();
  } finally {
    abort();
    await lanes.end();
    pipe.close();
  }
}

/** From the program to the host; false when the connection broke. */
async function give(conn: Deno.TcpConn, stream: MuxStream): Promise<boolean> {
  const buffer = new Uint8Array(chunkBytes.connection);
  try {
    for (;;) {
      const count = await conn.read(buffer);
      if (count === null) break;
      await stream.write(buffer.subarray(0, count));
    }
    stream.end();
    return true;
  } catch {
    return false;
  }
}

/** From the host to the program; false when the connection or a lane broke. */
async function take(
  stream: MuxStream,
  conn: Deno.TcpConn,
  lanes: ExecLanes,
  pipe: InputPipe,
): Promise<boolean> {
  let moved = 0;
  try {
    for (let bytes = await stream.read(); bytes !== null; bytes = await stream.read()) {
      await writeAll(conn, bytes);
      moved += bytes.length;
      lanes.passed("stdin", moved);
    }
    const mover = lanes.takeInput();
    if (mover !== null) {
      const bytes = await takeLane(mover, conn, pipe);
      if ((await mover.ended)?.code !== 0 || bytes !== await lanes.sentInput) return false;
      stream.control({ control: "lane_end", channel: "stdin", bytes });
    }
    await conn.closeWrite();
    return true;
  } catch {
    return false;
  }
}

/** Passes on what a lane brings, to its end; how many bytes that were. */
async function takeLane(
  mover: LaneMover,
  conn: Deno.TcpConn,
  pipe: InputPipe,
): Promise<number> {
  using file = pipe.takeReader();
  mover.go();
  const buffer = new Uint8Array(chunkBytes.lane);
  let total = 0;
  try {
    for (;;) {
      const count = await file.read(buffer);
      if (count === null) return total;
      await writeAll(conn, buffer.subarray(0, count));
      total += count;
    }
  } catch (error) {
    // The program takes no more.
    mover.abort();
    throw error;
  }
}

async function connect(context: AgentContext, port: number): Promise<Deno.TcpConn> {
  for (const hostname of addresses(context, port)) {
    const connecting = Deno.connect({ hostname, port, transport: "tcp" });
    const conn = await Promise.race([
      connecting.catch(() => undefined),
      sleep(connectMs).then(() => undefined),
    ]);
    if (conn !== undefined) {
      conn.setNoDelay();
      return conn;
    }
    // One that is made too late is nobody's.
    void connecting.then((late) => late.close(), () => {});
  }
  throw new Failure("not_found", `nothing listens on port ${port}`);
}

/** Where something may listen on `port`: the loopback first, then addresses that are named in the tables. */
function* addresses({ root }: AgentContext, port: number): Iterable<string> {
  const tried = new Set(["127.0.0.1", "::1", "0.0.0.0", "::"]);
  yield* ["127.0.0.1", "::1"];
  for (const { isListening, localPort, localAddress } of tcpSockets(root)) {
    const address = addressText(localAddress);
    if (!isListening || localPort !== port || tried.has(address)) continue;
    tried.add(address);
    yield address;
  }
}
