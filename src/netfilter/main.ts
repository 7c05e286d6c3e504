/**
 * The net filter's process, one for each VM in rootless mode: takes QEMU's connection, connects to passt,
 * gives up every permission and relays the frames that may pass.
 *
 * It outlives the daemon like QEMU and passt, and ends when either of them does. Imports only
 * `vmm/netfilter`, passt's constants and what gives up permissions: it is also bundled alone.
 */
import type { DropReason } from "../vmm/netfilter/frame_rules.ts";
import { FrameRules } from "../vmm/netfilter/frame_rules.ts";
import { FrameSieve } from "../vmm/netfilter/frame_sieve.ts";
import { relay } from "../vmm/netfilter/relay.ts";
import { guestNetwork } from "../vmm/passt/guest_network.ts";
import { assertClosed, assertSocketsOnly, giveUp } from "../process/own_permissions.ts";
import { unreadySocket } from "../version/unready_socket.ts";

/** How long QEMU may take until it connects. */
const acceptTimeoutMs = 60_000;
/** How long passt may take until it can be connected to, and the time between two tries. */
const connectTimeoutMs = 5_000;
const connectEveryMs = 5;

const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

/** What the filter is told. */
interface FilterArguments {
  readonly listenPath: string;
  readonly passtPath: string;
  readonly mac: string;
}

/**
 * Filters until QEMU or passt hangs up and resolves to the exit code. `argv` is
 * `net-filter run LISTEN_SOCKET PASST_SOCKET MAC`.
 */
export async function runNetFilter(argv: readonly string[]): Promise<number> {
  const options = parse(argv);
  if (options === undefined) {
    say("Cannot run: the arguments are LISTEN_SOCKET PASST_SOCKET MAC");
    return exitCodes.usage;
  }
  try {
    giveUp(["env", "sys", "run", "ffi", "import"]);
    assertSocketsOnly();
    const { qemu, passt } = await connectBoth(options);
    giveUp(["read", "write", "net"]);
    assertClosed(options.passtPath);
    await relay(qemu, passt, new FrameSieve(rulesFor(options.mac), tellOnce()));
    return exitCodes.ok;
  } catch (error) {
    say(`Cannot filter: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodes.failed;
  }
}

function parse(argv: readonly string[]): FilterArguments | undefined {
  const [listenPath, passtPath, mac, ...more] = argv.slice(2);
  if (listenPath === undefined || passtPath === undefined || mac === undefined) return undefined;
  if (!listenPath.startsWith("/") || !passtPath.startsWith("/") || more.length > 0) {
    return undefined;
  }
  return { listenPath, passtPath, mac };
}

function rulesFor(mac: string): FrameRules {
  const { address, gatewayMac } = guestNetwork;
  return new FrameRules({ mac, address, gatewayMac });
}

/** QEMU connects once, and passt takes one connection: whoever comes second finds nobody. */
async function connectBoth(
  { listenPath, passtPath }: FilterArguments,
): Promise<{ readonly qemu: Deno.UnixConn; readonly passt: Deno.UnixConn }> {
  const listener = listenAt(listenPath);
  const tooLate = setTimeout(() => listener.close(), acceptTimeoutMs);
  let qemu: Deno.UnixConn;
  try {
    qemu = await listener.accept();
  } catch (cause) {
    throw new Error("QEMU does not connect", { cause });
  }
  clearTimeout(tooLate);
  listener.close();
  return { qemu, passt: await connectSoon(passtPath) };
}

/**
 * Listens at `path`. Between bind(2) and listen(2) a socket is there and refuses connections: it gets the
 * name that QEMU knows only when it takes them.
 */
function listenAt(path: string): Deno.UnixListener {
  const unready = unreadySocket(path);
  const listener = Deno.listen({ transport: "unix", path: unready });
  Deno.renameSync(unready, path);
  return listener;
}

async function connectSoon(path: string): Promise<Deno.UnixConn> {
  const deadline = performance.now() + connectTimeoutMs;
  for (;;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (cause) {
      const isEarly = cause instanceof Deno.errors.NotFound ||
        cause instanceof Deno.errors.ConnectionRefused;
      if (!isEarly || performance.now() > deadline) throw cause;
    }
    await new Promise((resolve) => setTimeout(resolve, connectEveryMs));
  }
}

/** Each reason is told the first time only: the guest decides how often there is one. */
function tellOnce(): (reason: DropReason) => void {
  const told = new Set<DropReason>();
  return (reason) => {
    if (told.has(reason)) return;
    told.add(reason);
    say(`Dropped a frame of the guest: ${reason}`);
  };
}

function say(line: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(`net-filter: ${line}\n`));
  } catch {
    // The disk is full; filtering matters more.
  }
}
