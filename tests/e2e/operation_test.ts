/** Long work that goes on without the command that began it. */
import assert from "node:assert/strict";
import { firstRunMs, refused, until, vmsOf, vmTest } from "../support/end_to_end.ts";

vmTest(
  "a creation goes on by itself, is waited for, shown, and undone when cancelled",
  async (banger) => {
    await banger.ok(["vm", "create", "--name", "prepared"], { timeoutMs: firstRunMs });
    const create = ["vm", "create", "--start", "--detach", "--name"];
    const id = (await banger.ok([...create, "alone"])).trim();
    assert.match(id, /^[0-9a-f]{16}$/);
    const running = JSON.parse(await banger.ok(["operation", "list", "--running", "--json"]));
    assert.deepEqual(running.operations.map((it: { id: string }) => it.id), [id]);
    await banger.ok(["operation", "wait", id.slice(0, 6)], { timeoutMs: 120_000 });
    const shown = await banger.ok(["operation", "show", id]);
    assert.match(shown, /^State: +succeeded$/m);
    assert.match(shown, /^ {2}Booting: done \(\d/m);
    await refused(banger, ["operation", "cancel", id], 4, /it had succeeded already/);

    assert.match(await banger.ok(["vm", "ping", "alone"]), /^alone answers after \d+\.\d ms\n$/);
    const { health } = JSON.parse(await banger.ok(["vm", "health", "alone", "--json"]));
    assert.ok(health.uptimeS > 0 && health.agentVersion !== "", JSON.stringify(health));
    await until("the guest's ssh server listens", async () => {
      const { ports } = JSON.parse(await banger.ok(["vm", "ports", "alone", "--json"]));
      return ports.some((it: { port: number; protocol: string }) =>
        it.port === 22 && it.protocol === "tcp"
      );
    }, 60_000);

    const work = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
    const busy = banger.run(["vm", "exec", "alone", "--", "sh", "-c", work], { timeoutMs: 60_000 });
    const { stats } = JSON.parse(await banger.ok(["vm", "stats", "alone", "--json"]));
    assert.deepEqual(stats.map((it: { name: string }) => it.name), ["alone"]);
    assert.ok(stats[0].cpuPercent > 0 && stats[0].memoryUsedBytes > 2 ** 20, JSON.stringify(stats));
    assert.equal((await busy).code, 0);
    assert.match(await banger.ok(["vm", "stats"]), /^NAME +CPU .*\nalone +\d+\.\d % /);
    assert.match(
      await banger.ok(["daemon", "metrics"]),
      /^banger_vm_cpu_busy_seconds_total\{vm="alone",id="[0-9a-f]{16}"\} \d/m,
    );

    // What is printed while somebody follows reaches him, and the end of the VM ends him.
    const followed = banger.run(["vm", "logs", "--follow", "alone"], { timeoutMs: 120_000 });
    await banger.ok(["vm", "exec", "alone", "--", "sh", "-c", "echo heard >/dev/console; sleep 1"]);
    await banger.ok(["vm", "stop", "alone"], { timeoutMs: 60_000 });
    const { code, stdout } = await followed;
    assert.equal(code, 0);
    assert.match(stdout, /heard\r?\n/);
    await refused(banger, ["vm", "ping", "alone"], 5, /Cannot reach VM "alone": it is stopped/);

    const cancelled = (await banger.ok([...create, "never"])).trim();
    const waiting = banger.run(["operation", "wait", cancelled], { timeoutMs: 60_000 });
    await until(
      "there is a row",
      async () => (await vmsOf(banger)).some(({ name }) => name === "never"),
      20_000,
    );
    await banger.ok(["operation", "cancel", cancelled], { timeoutMs: 60_000 });
    assert.equal((await waiting).code, 130);
    assert.ok(!(await vmsOf(banger)).some(({ name }) => name === "never"));
    await refused(banger, ["operation", "show", "ffffffffffffffff"], 3, /Cannot find operation/);
    await refused(banger, ["operation", "show", "../x"], 2, /no operation has such an id/);
  },
);
