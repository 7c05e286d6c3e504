/**
 * What a VM's place on the bridge costs: attach and detach, over a shell script that does the same with `ip` and `nft`;
 * and how long 50 VMs take. In a network namespace of its own.
 *
 * usage: deno run --allow-all --no-check tests/bench/network_bench.ts [PAIRS]     (15)
 *
 * Needs root, iproute2 and nftables.
 */
import { newId, type VmId } from "../../src/model/ids.ts";
import { HostTools } from "../../src/privileged/network/host_tools.ts";
import { LocalNetwork } from "../../src/privileged/network/local_network.ts";
import { NetworkRegistry } from "../../src/privileged/network/registry.ts";
import { defaultNetwork, networkSettings } from "../../src/privileged/network/settings.ts";
import { median } from "./table.ts";
import { report, say } from "./report.ts";

const namespace = `banger-bench-${Deno.pid}`;
if (Deno.env.get("BANGER_BENCH_NETNS") === undefined) Deno.exit(await inNamespace());

/** What attach and detach change on the host, with one program for each change. */
const raw = `
  ip -json -details link show >/dev/null
  ip -json -4 route show table all >/dev/null
  ip tuntap add dev raw0 mode tap user 700999
  ip link set dev raw0 addrgenmode none
  ip link set dev raw0 master banger0
  ip link set dev raw0 type bridge_slave isolated on
  ip link set dev raw0 up
  nft add element bridge banger pins '{ "raw0" . 02:00:00:00:00:01 . 10.83.15.200 }'
  nft delete element bridge banger pins '{ "raw0" . 02:00:00:00:00:01 . 10.83.15.200 }'
  ip link delete dev raw0
`;

const pairs = Number(Deno.args[0] ?? 15);
const target = 1.5;
const open = { reach: "internet", peers: false } as const;
const dir = await Deno.makeTempDir({ prefix: "banger-network-bench-" });
const network = new LocalNetwork(
  networkSettings({ ...defaultNetwork, firstUid: 700_000 }),
  new HostTools(),
  new NetworkRegistry(`${dir}/network.json`),
);
try {
  await network.ensure();
  const own: number[] = [], floor: number[] = [];
  for (let pair = -1; pair < pairs; pair++) {
    const vm = newId<VmId>();
    const ownMs = await timed(async () => {
      await network.attach(vm, open);
      await network.detach(vm);
    });
    const floorMs = await timed(() => sh(raw));
    if (pair < 0) continue;
    own.push(ownMs);
    floor.push(floorMs);
  }
  report("attach and detach", own, "ms");
  report("the same in a shell", floor, "ms");
  const ratio = median(own.map((ms, n) => ms / floor[n]!));
  say(`by pair ${ratio.toFixed(2)} ×, target ${target} ×: ${ratio <= target ? "met" : "missed"}`);
  const vms = Array.from({ length: 50 }, () => newId<VmId>());
  const made = await timed(async () => {
    for (const vm of vms) await network.attach(vm, open);
  });
  const rules = (await new Deno.Command("nft", { args: ["list", "ruleset"] }).output()).stdout;
  const gone = await timed(async () => {
    for (const vm of vms) await network.detach(vm);
  });
  say(
    `50 VMs one after the other: ${(made / 1000).toFixed(2)} s to attach, ${
      (gone / 1000).toFixed(2)
    } s to detach, ` +
      `${rules.length} bytes of rules; target 10 s together`,
  );
} finally {
  await network.remove();
  await Deno.remove(dir, { recursive: true });
}

async function sh(script: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("sh", { args: ["-ec", script] }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

async function timed(body: () => Promise<void>): Promise<number> {
  const begunMs = performance.now();
  await body();
  return performance.now() - begunMs;
}

async function inNamespace(): Promise<number> {
  await sh(`ip netns add ${namespace}; ip -n ${namespace} link set lo up`);
  try {
    const args = ["netns", "exec", namespace, Deno.execPath(), "run", "--allow-all", "--no-check"];
    const { code } = await new Deno.Command("ip", {
      args: [...args, new URL(import.meta.url).pathname, ...Deno.args],
      env: { BANGER_BENCH_NETNS: namespace },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    return code;
  } finally {
    await sh(`ip netns delete ${namespace}`);
  }
}
