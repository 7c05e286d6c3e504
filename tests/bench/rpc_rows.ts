import { Store } from "../../src/store/store.ts";
import { RawClient } from "./raw_client.ts";
import { at, type BenchContext, type BenchRow } from "./table.ts";

/** Pings of one sample; its p99 is the sample's figure. */
const pingsInSample = 500;

/** The peer of the ping: a line in, the same line out. */
const echoServer = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
link, _ = server.accept()
while data := link.recv(65536):
    link.sendall(data)
`;

/** Rows 3 and 4: time of the daemon's list until its last byte is here, and of its ping. */
export async function* rpcRows(context: BenchContext): AsyncGenerator<BenchRow> {
  await context.banger.ok(["vm", "list"]);
  using client = await RawClient.connect(context.paths.daemonSocket);
  yield* listRows(context, client);
  yield await pingRow(context, client);
}

async function* listRows(context: BenchContext, client: RawClient): AsyncGenerator<BenchRow> {
  const { pairs, paths, vmCount } = context;
  using store = Store.open(paths);
  const floors: number[] = [], changed: number[] = [], kept: number[] = [];
  for (let pair = -3; pair < pairs; pair++) {
    const floorMs = await timed(() => Promise.resolve(JSON.stringify(store.vms.list()).length));
    // A list is made anew after every change of a row.
    const { operationId } = await client.result("vm.delete", {
      vm: `vm-${pair + 3}`,
      force: false,
    });
    await waitFor(client, String(operationId));
    const changedMs = await timed(() => client.call("vm.list"));
    const keptMs = await timed(() => client.call("vm.list"));
    if (pair < 0) continue;
    floors.push(floorMs);
    changed.push(changedMs);
    kept.push(keptMs);
  }
  const floor = { floorName: "SELECT + stringify", unit: "ms", floor: floors } as const;
  const name = `\`vm.list\` of ${vmCount}`;
  yield { ...floor, row: 3, name: `${name} after a change`, own: changed, target: 1.3 };
  yield { ...floor, row: 3, name: `${name}, nothing changed`, own: kept, target: 1 };
}

async function waitFor(client: RawClient, id: string): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    const { operation } = await client.result("operation.status", { id });
    const { state } = operation as { readonly state: string };
    if (state === "succeeded") return;
    if (state !== "running") throw new Error(`the operation has ${state}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error("the operation does not end");
}

async function pingRow(context: BenchContext, client: RawClient): Promise<BenchRow> {
  const path = `${context.paths.runtimeDir}/echo`;
  const server = new Deno.Command("python3", { args: ["-c", echoServer, path] }).spawn();
  try {
    using peer = await connected(path);
    const own: number[] = [], floor: number[] = [];
    for (let pair = -1; pair < context.pairs; pair++) {
      const [ping, echo]: [number[], number[]] = [[], []];
      for (let n = 0; n < pingsInSample; n++) {
        ping.push(await timed(() => client.call("daemon.ping")));
        echo.push(await timed(() => peer.call("daemon.ping")));
      }
      if (pair < 0) continue;
      own.push(at(ping, 0.99));
      floor.push(at(echo, 0.99));
    }
    return {
      row: 4,
      name: "ping, p99",
      own,
      floorName: "Python echo",
      floor,
      unit: "ms",
      target: 2,
    };
  } finally {
    server.kill("SIGKILL");
    await server.status;
  }
}

async function connected(path: string): Promise<RawClient> {
  for (let turn = 0; turn < 100; turn++) {
    try {
      return await RawClient.connect(path);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error("the echo server does not answer");
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await body();
  return performance.now() - startMs;
}
