/** What can be done with VMs that are there: set, restart, kill, several at once. */
import assert from "node:assert/strict";
import { firstRunMs, refused, vmsOf, vmTest } from "../support/end_to_end.ts";

const bootMs = 120_000;

vmTest("a VM is changed at rest, boots with it, and is killed and restarted", async (banger) => {
  const ok = (...args: string[]) => banger.ok(args, { timeoutMs: firstRunMs });
  await ok("vm", "create", "--name", "verbs", "--memory", "512M", "-l", "team=web", "-l", "ci");
  await ok(
    "vm",
    "set",
    "verbs",
    "--cpus",
    "1",
    "--memory",
    "600M",
    "--disk",
    "9G",
    "--no-label",
    "ci",
  );
  await refused(banger, ["vm", "set", "verbs", "--disk", "8G"], 2, /disks only grow/);
  await ok("vm", "start", "verbs");
  const facts = "nproc; df -B1 --output=size / | tail -n 1; cat /proc/sys/kernel/hostname; " +
    "awk '/MemTotal/ { print $2 }' /proc/meminfo; echo kept >/root/kept; sync";
  const [cpus, disk, hostname, memory] = (await ok("vm", "exec", "verbs", "--", "sh", "-c", facts))
    .trim().split("\n");
  assert.deepEqual([cpus, hostname], ["1", "verbs"]);
  assert.ok(Number(disk) > 8.2 * 1024 ** 3, `the file system has ${disk} bytes`);
  assert.ok(Number(memory) > 512 * 1024 && Number(memory) < 600 * 1024, `${memory} KiB`);

  await refused(
    banger,
    ["vm", "set", "verbs", "--memory", "1G"],
    5,
    /memory of VM "verbs": it is running/,
  );
  await ok("vm", "set", "verbs", "--name", "renamed");
  await ok("vm", "restart", "renamed");
  const after = await ok("vm", "exec", "renamed", "--", "sh", "-c", "hostname; cat /root/kept");
  assert.equal(after, "renamed\nkept\n");

  const shown = JSON.parse(await ok("vm", "list", "--json", "--label", "team=web"));
  assert.deepEqual(shown.vms.map((vm: { name: string }) => vm.name), ["renamed"]);
  assert.deepEqual(shown.vms[0].labels, { team: "web" });
  await refused(banger, ["vm", "delete", "--label", "team=web"], 4, /it is running/);
  await ok("vm", "kill", "renamed");
  assert.deepEqual((await vmsOf(banger)).map(({ name, state }) => [name, state]), [
    ["renamed", "stopped"],
  ]);
});

vmTest("several at once: one that fails does not keep the others", async (banger) => {
  for (const name of ["one", "two", "three"]) {
    await banger.ok(["vm", "create", "--name", name], { timeoutMs: firstRunMs });
  }
  const { code, stderr } = await banger.run(["vm", "delete", "one", "nobody", "two"], {
    timeoutMs: bootMs,
  });
  assert.equal(code, 3, stderr);
  assert.match(stderr, /Cannot find VM "nobody"/);
  assert.deepEqual((await vmsOf(banger)).map(({ name }) => name), ["three"]);
  await banger.ok(["vm", "delete", "--all", "--stopped"]);
  assert.deepEqual(await vmsOf(banger), []);
  await banger.ok(["vm", "stop", "--all"]);
});
