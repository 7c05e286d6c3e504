import assert from "node:assert/strict";
import type { VmPort } from "../api/vm.ts";
import { runFake } from "./testdata/fake_context.ts";
import { FakeDaemon, vmViewOf } from "./testdata/fake_daemon.ts";

function daemonWith(ports: VmPort[] = [], guestRoot = "/nonexistent") {
  const daemon = new FakeDaemon(guestRoot);
  daemon.vms = [vmViewOf()];
  daemon.ports = ports;
  const run = (...argv: string[]) => runFake(argv, { connect: () => daemon.port() });
  return { daemon, run };
}

const row = { protocol: "tcp", address: "127.0.0.1", process: "python3", open: true } as const;
const ports: VmPort[] = [
  { ...row, port: 80, hostPort: 8080, how: "published" },
  { ...row, port: 3000, hostPort: 23_000, how: "auto" },
  { ...row, address: "0.0.0.0", port: 22, process: "sshd", hostPort: 40_022, how: "ssh" },
  { ...row, protocol: "udp", port: 53, process: null, hostPort: null, how: null, open: false },
  { ...row, address: null, process: null, port: 81, hostPort: 8081, how: "published", open: false },
];

Deno.test("vm ports is a table of what listens and what leads there, or stable JSON", async () => {
  const { run } = daemonWith(ports);
  const { out } = await run("vm", "ports", "web");
  assert.equal(
    out.text,
    "PROTOCOL  ADDRESS    PORT  PROGRAM  HOST             HOW\n" +
      "tcp       127.0.0.1    80  python3  127.0.0.1:8080   published\n" +
      "tcp       127.0.0.1  3000  python3  127.0.0.1:23000  auto\n" +
      "tcp       0.0.0.0      22  sshd     127.0.0.1:40022  ssh\n" +
      "udp       127.0.0.1    53  -        -                -\n" +
      "tcp       -            81  -        127.0.0.1:8081   published, closed\n",
  );
  const golden = new URL("./testdata/golden/vm_ports.json", import.meta.url);
  const { out: json } = await run("vm", "ports", "--json", "web");
  if (Deno.env.get("BANGER_UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden, json.text);
  assert.equal(json.text, await Deno.readTextFile(golden));
});

Deno.test("vm ports publish and unpublish say what they were given, and print the addresses", async () => {
  const { daemon, run } = daemonWith();
  daemon.published = [{ hostPort: 8080, guestPort: 80 }, { hostPort: 23_000, guestPort: 3000 }];
  const { code, out } = await run("vm", "ports", "publish", "web", "8080:80", "3000");
  assert.deepEqual([code, out.text], [0, "127.0.0.1:8080\n127.0.0.1:23000\n"]);
  assert.equal((await run("vm", "ports", "unpublish", "web", "80")).code, 0);
  assert.deepEqual(daemon.calls, [
    {
      method: "vm.publish",
      params: {
        vm: "web",
        ports: [{ hostPort: 8080, guestPort: 80 }, { hostPort: null, guestPort: 3000 }],
      },
    },
    { method: "vm.unpublish", params: { vm: "web", ports: [{ hostPort: null, guestPort: 80 }] } },
  ]);
  const bad = await run("vm", "ports", "publish", "web", "80/udp");
  assert.equal(bad.code, 2);
  assert.match(
    bad.err.text,
    /^Error: Cannot publish port "80\/udp": only TCP ports are published\n/,
  );
  assert.equal((await run("vm", "ports", "publish", "web")).code, 2);
});

Deno.test("a VM may be called like a third word", async () => {
  const { daemon, run } = daemonWith();
  assert.equal((await run("vm", "ports", "--", "publish")).code, 0);
  assert.equal((await run("vm", "ports", "--json", "unpublish")).code, 0);
  const named = daemon.calls.map(({ method, params }) => [method, (params as { vm: string }).vm]);
  assert.deepEqual(named, [["vm.ports", "publish"], ["vm.ports", "unpublish"]]);
  const help = await run("help", "vm", "ports", "publish");
  assert.match(help.out.text, /^Usage: banger vm ports publish \[OPTIONS\] VM \[HOST:\]GUEST…\n/);
});

Deno.test("vm create and vm run hand on what is to be published, vm set and vm show what is by itself", async () => {
  const { daemon, run } = daemonWith();
  await run("vm", "create", "-p", "8080:80", "--publish=22", "--auto-ports");
  await run("vm", "set", "web", "--auto-ports", "off");
  const asked = daemon.calls.map(({ params }) => params as Record<string, unknown>);
  assert.deepEqual(asked[0]?.["publish"], [
    { hostPort: 8080, guestPort: 80 },
    { hostPort: null, guestPort: 22 },
  ]);
  assert.deepEqual([asked[0]?.["autoPorts"], asked[1]?.["autoPorts"]], [true, false]);
  assert.equal((await run("vm", "set", "web", "--auto-ports", "maybe")).code, 2);
  daemon.vms = [vmViewOf({ published: [{ hostPort: 8080, guestPort: 80 }], autoPorts: true })];
  const { out } = await run("vm", "show", "web");
  assert.match(out.text, /^Published: +127\.0\.0\.1 port 8080 to 80, what listens in it$/m);
});

Deno.test("vm run says which ports come and go by themselves, and not those that were asked for", async () => {
  const root = await Deno.makeTempDir();
  await Deno.mkdir(`${root}/root`);
  const { daemon, run } = daemonWith([], root);
  const auto = (hostPort: number, guestPort: number) => ({ hostPort, guestPort, reason: "auto" });
  const published = { hostPort: 8080, guestPort: 80, reason: "published" };
  daemon.forwards = [
    { revision: 1, forwards: [published] },
    { revision: 2, forwards: [published, auto(3000, 3000), auto(25_432, 5432)] },
    { revision: 3, forwards: [published, auto(25_432, 5432)] },
  ];
  const words = ["vm", "run", "--no-workspace", "--auto-ports", "--", "sleep", "0.3"];
  const { err } = await run(...words);
  const said = err.text.split("\n").filter((line) => /127\.0\.0\.1/.test(line));
  assert.deepEqual(said, [
    "Port 3000 of the guest is 127.0.0.1:3000 here",
    "Port 5432 of the guest is 127.0.0.1:25432 here",
    "127.0.0.1:3000 leads nowhere any more",
  ]);
  const after = daemon.calls.filter(({ method }) => method === "vm.forwards")
    .map(({ params }) => (params as { after: number | null }).after);
  assert.deepEqual(after, [null, 1, 2, 3]);
  daemon.calls.length = 0;
  await run(...words.with(3, "--quiet"));
  assert.ok(!daemon.methods.includes("vm.forwards"));
  await Deno.remove(root, { recursive: true });
});
