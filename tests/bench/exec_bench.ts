/**
 * Row 11 of the benchmarks: `banger vm exec NAME -- true` in a VM that runs, over `ssh` through a ControlMaster
 * into the same guest. Whole commands, from their start to their end.
 *
 * usage: deno run --allow-all --no-check tests/bench/exec_bench.ts [PAIRS]     (21)
 *
 * Needs build/bin/banger; pulls image and kernel the first time.
 */
import { DaemonClient } from "../../src/client/daemon_client.ts";
import { Paths } from "../../src/paths/paths.ts";
import { connectUnix } from "../../src/transport/unix_client.ts";
import { type Banger, withCachedBanger } from "../support/banger.ts";
import { median } from "./table.ts";
import { report, say } from "./report.ts";

const pairs = Math.max(7, Number(Deno.args[0] ?? 21));
const target = 0.5;
const name = "bench";

await withCachedBanger(async (banger) => {
  const run = ["vm", "run", "--no-workspace", "--name", name, "--", "true"];
  await banger.ok(run, { timeoutMs: 600_000 });
  await using master = await sshMaster(banger);
  const own: number[] = [], ssh: number[] = [];
  for (let pair = -2; pair < pairs; pair++) {
    const ownMs = await timed(() => banger.ok(["vm", "exec", name, "--", "true"]));
    const sshMs = await timed(() => master.exec());
    if (pair < 0) continue;
    own.push(ownMs);
    ssh.push(sshMs);
  }
  const ratio = median(own.map((ms, n) => ms / ssh[n]!));
  report("banger vm exec NAME -- true", own, "ms");
  report("ssh through a ControlMaster", ssh, "ms");
  say(`target ${target} ×: ${ratio <= target ? "met" : "missed"} at ${ratio.toFixed(2)} × by pair`);
});

interface Master extends AsyncDisposable {
  exec(): Promise<void>;
}

/** A connection of OpenSSH's that later ones share. */
async function sshMaster(banger: Banger): Promise<Master> {
  using client = new DaemonClient(
    await connectUnix(new Paths({ uid: Deno.uid() ?? 0, home: banger.home }).daemonSocket),
  );
  for (let turn = 0; turn < 200; turn++) {
    // Its ssh server comes after the first command.
    if ((await client.call("vm.health", { vm: name })).health.sshReady) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { target } = await client.call("vm.ssh", { vm: name, command: null });
  const dir = await Deno.makeTempDir({ prefix: "banger-bench-" });
  const options = [
    ...["-F", "/dev/null", "-S", `${dir}/master`, "-p", String(target.port), "-i", target.keyPath],
    ...["-o", `UserKnownHostsFile=${target.knownHostsPath}`, "-o", `HostKeyAlias=${target.vmId}`],
    ...["-o", "BatchMode=yes"],
  ];
  const host = `${target.user}@${target.host}`;
  const ssh = async (...args: readonly string[]) => {
    const { success, stderr } = await new Deno.Command("ssh", { args: [...options, ...args] })
      .output();
    if (!success) throw new Error(`ssh ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  };
  const child = new Deno.Command("ssh", { args: [...options, "-M", "-N", host] }).spawn();
  for (let turn = 0;; turn++) {
    try {
      await ssh("-O", "check", host);
      break;
    } catch (error) {
      if (turn === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return {
    exec: () => ssh(host, "true"),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await child.status;
      await Deno.remove(dir, { recursive: true });
    },
  };
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await body();
  return performance.now() - startMs;
}
