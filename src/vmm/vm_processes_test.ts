import assert from "node:assert/strict";
import { newId, type VmId } from "../model/ids.ts";
import type { SessionLeader } from "../process/session_leaders.ts";
import type { MachineSpec } from "./contract.ts";
import { passtCommandLine } from "./passt/command_line.ts";
import { qemuCommandLine } from "./qemu/command_line.ts";
import { vmProcesses } from "./vm_processes.ts";

const runtimeDir = "/run/user/1000/a,b/banger/0123abcd";
const id = newId<VmId>();
const run = id.slice(0, 12);
const runDir = `${runtimeDir}/${run}`;

function leader(...argv: readonly string[]): SessionLeader {
  return { handle: { pid: 10, startTicks: 20 }, uid: 1000, argv: [...argv, ""] };
}

const spec: MachineSpec = {
  ...{ vmId: id, cpus: 1, memoryMib: 256, kernelPath: "/k", initrdPath: null, commandLine: [] },
  ...{ disks: [], network: null, runDir, stateDir: "/s", accelerator: "tcg", dropTo: null },
  memoryPaths: { tmpfs: "/m", disk: "/s/memory" },
};
const qemu = ["/usr/bin/qemu-system-x86_64", ...qemuCommandLine(spec, "/m").args];
const passt = ["/usr/bin/passt", ...passtCommandLine(`${runDir}/n`, [])];
const filter = [
  "/proc/self/fd/3",
  "run",
  "-",
  "net-filter",
  "run",
  `${runDir}/f`,
  `${runDir}/n`,
  "02:00",
];

Deno.test("the programs of a VM are known by the command lines that they were given", () => {
  const programs = (argv: readonly string[]) =>
    vmProcesses([leader(...argv)], runtimeDir).map((found) => [found.program, found.run]);
  assert.deepEqual(programs(qemu), [["qemu", run]]);
  assert.deepEqual(programs(passt), [["passt", run]]);
  assert.deepEqual(programs(filter), [["net_filter", run]]);
  const launching = ["/bin/sh", "-c", "…", "banger-launch", "/s/stderr", "/usr/bin/setpriv", "--"];
  assert.deepEqual(programs([...launching, ...qemu]), [["qemu", run]]);
});

Deno.test("programs of other directories, and others that name a socket, are not", () => {
  const others = [
    ["/usr/bin/vim", `${runDir}/n`],
    ["/usr/bin/socat", "-", `UNIX-CONNECT:${runDir}/q`],
    ["rm", `${runDir}/f`, `${runtimeDir}/ffffffffffff/n`, "x"],
    ["passt", "--socket", `${runDir}/n/../../x/n`],
    ["passt", "--socket", `${runDir}x/n`],
    ["passt", "--socket", `${runtimeDir}/${id}/n`],
    ["passt", "--socket"],
    [],
  ];
  for (const argv of others) assert.deepEqual(vmProcesses([leader(...argv)], runtimeDir), []);
  const elsewhere = vmProcesses([leader(...qemu), leader(...passt)], "/run/banger-0/0123abcd");
  assert.deepEqual(elsewhere, []);
});
