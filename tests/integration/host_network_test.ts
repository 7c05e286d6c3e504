/** The conformance suite of `HostNetwork`, with real bridges, taps and packet filters in namespaces of its own. */
import assert from "node:assert/strict";
import { isBangerError } from "../../src/model/errors.ts";
import { newId, type VmId } from "../../src/model/ids.ts";
import type { HostNetwork, NetworkPolicy, TapLease } from "../../src/privileged/contract.ts";
import { needsRoot } from "../support/end_to_end.ts";
import { FaultyTools } from "../support/host_network/faulty_tools.ts";
import { beyond, HostNamespace, makeTapCable, uplink } from "../support/host_network/namespaces.ts";
import { skipUnless } from "../support/require.ts";

const open: NetworkPolicy = { reach: "internet", peers: false };
const gateway = "10.83.0.1";

const programs = ["/usr/sbin/ip", "/usr/sbin/nft", "/usr/bin/gcc"];
const missing = programs.filter((path) => {
  try {
    return !Deno.statSync(path).isFile;
  } catch {
    return true;
  }
});

function networkTest(name: string, body: (host: HostNamespace) => Promise<void>): void {
  const why = !needsRoot.met ? needsRoot.otherwise : `there is no ${missing.join(" and no ")}`;
  Deno.test({
    name: `host network: ${name}`,
    ignore: skipUnless(name, needsRoot.met && missing.length === 0, why),
    fn: async () => {
      await using host = await HostNamespace.make();
      await body(host);
    },
  });
}

/** What a server says of who asks, or `closed`. */
async function ask(
  host: HostNamespace,
  from: string,
  to: string,
  port: number,
  transport: "tcp" | "udp" = "tcp",
): Promise<string> {
  const path = `/dev/${transport}/${to}/${port}`;
  const client = `exec 3<>${path} && echo >&3 && head -n 1 <&3`;
  return (await host.run(
    `timeout 2 bash -c '${client}' 2>/dev/null || echo closed`,
    from,
  )).trim();
}

async function connected(
  host: HostNamespace,
  network: HostNetwork,
  policies: readonly NetworkPolicy[],
): Promise<{ readonly lease: TapLease; readonly guest: string }[]> {
  const cable = await makeTapCable(host.dir);
  const guests = [];
  for (const policy of policies) {
    const lease = await network.attach(newId<VmId>(), policy);
    guests.push({ lease, guest: await host.guest(lease, cable) });
  }
  return guests;
}

networkTest("a guest reaches the Internet as the host, and nothing that is near", async (host) => {
  const network = host.network();
  await network.ensure();
  await host.answer(
    host.name,
    ...["tcp", gateway, "1053", "udp", gateway, "1053", "tcp", "0.0.0.0", "22"],
    ...["tcp", "0.0.0.0", "53", "tcp", "0.0.0.0", "8080", "udp", "0.0.0.0", "8080"],
  );
  const { internet, lan, metadata } = beyond;
  await host.answer(host.beyond, ...[internet, lan, metadata].flatMap((at) => ["tcp", at, "80"]));
  const [first, closed, everywhere] = await connected(host, network, [
    open,
    { ...open, reach: "none" },
    { ...open, reach: "everywhere" },
  ]);
  const guest = first!.guest;
  const address = first!.lease.cidr.split("/")[0]!;
  assert.equal(await ask(host, guest, internet, 80), uplink);
  for (const near of [lan, metadata, "192.168.77.2"]) {
    assert.equal(await ask(host, guest, near, 80), "closed", near);
  }
  // DNS, both ways, is all there is of the host, by whatever address.
  for (const transport of ["tcp", "udp"] as const) {
    assert.equal(await ask(host, guest, gateway, 53, transport), address, transport);
    for (const port of [1053, 8080]) {
      assert.equal(await ask(host, guest, gateway, port, transport), "closed", String(port));
    }
  }
  for (const own of [gateway, uplink, "192.168.77.2"]) {
    assert.equal(await ask(host, guest, own, 22), "closed", own);
  }
  assert.equal(await ask(host, guest, uplink, 53), "closed");
  // The host reaches its guest, and gets an answer.
  await host.answer(guest, "tcp", address, "80");
  assert.equal(await ask(host, host.name, address, 80), gateway);
  for (const to of [internet, lan]) {
    assert.equal(await ask(host, closed!.guest, to, 80), "closed", to);
  }
  assert.equal(await host.arrivals(closed!.guest, internet), 0);
  assert.ok(await host.arrivals(guest, internet) > 0);
  assert.equal(await ask(host, everywhere!.guest, internet, 80), uplink);
  assert.equal(await ask(host, everywhere!.guest, lan, 80), "192.168.77.2");
  // Another policy counts at once, and leaves the place as it is.
  const again = await network.attach(first!.lease.vm, { ...open, reach: "everywhere" });
  assert.deepEqual({ ...again, policy: open }, first!.lease);
  assert.equal(await ask(host, guest, lan, 80), "192.168.77.2");
});

networkTest("no guest sees another, unless both are peers", async (host) => {
  const network = host.network();
  await network.ensure();
  const peers = { ...open, peers: true };
  // Who may go everywhere else gets no further here.
  const free: NetworkPolicy = { reach: "everywhere", peers: false };
  const [one, two, three, four] = await connected(host, network, [free, open, peers, peers]);
  const addressOf = ({ lease }: { lease: TapLease }) => lease.cidr.split("/")[0]!;
  const received = async (guest: string) =>
    Number(await host.run("cat /sys/class/net/eth0/statistics/rx_packets", guest));
  const bridgeMac = (await host.run("cat /sys/class/net/banger0/address")).trim();
  for (const victim of [two!, three!]) {
    const before = await received(victim.guest);
    const sent = Number(await host.run("cat /sys/class/net/banger0/statistics/rx_packets"));
    // Each begins with a question to all of the bridge. Then around its rules: by way of the gateway, and straight.
    await host.run(
      `knock() { timeout 0.5 bash -c "echo 1 >/dev/udp/$1/9; exec 3<>/dev/tcp/$1/22" || true; }
      knock ${addressOf(victim)}; knock 10.83.9.9
      for mac in ${bridgeMac} ${victim.lease.mac}; do
        ip neigh replace ${addressOf(victim)} lladdr $mac dev eth0; knock ${addressOf(victim)}
      done`,
      one!.guest,
    );
    assert.equal(await received(victim.guest) - before, 0);
    // What went by way of the gateway did arrive there.
    assert.ok(Number(await host.run("cat /sys/class/net/banger0/statistics/rx_packets")) > sent);
  }
  await host.answer(four!.guest, "tcp", addressOf(four!), "80");
  assert.equal(await ask(host, three!.guest, addressOf(four!), 80), addressOf(three!));
  assert.equal(await ask(host, one!.guest, addressOf(four!), 80), "closed");
  // A peer no more: at once.
  await network.attach(four!.lease.vm, open);
  assert.equal(await ask(host, three!.guest, addressOf(four!), 80), "closed");
});

networkTest("a guest speaks only as itself, and only IPv4", async (host) => {
  const network = host.network();
  await network.ensure();
  await host.answer(host.beyond, "tcp", beyond.internet, "80");
  const [guest, other] = await connected(host, network, [open, open]);
  const reach = () => ask(host, guest!.guest, beyond.internet, 80);
  const set = (text: string) => host.run(text, guest!.guest);
  assert.equal(await reach(), uplink);
  const bridgeMac = (await host.run("cat /sys/class/net/banger0/address")).trim();
  const arrivals = () => host.arrivals(guest!.guest, beyond.internet);
  // No question for the gateway's MAC stands before the frame that is to pass.
  await set(`ip neigh replace ${gateway} lladdr ${bridgeMac} dev eth0 nud permanent`);
  assert.ok(await arrivals() > 0);
  await set(`ip link set eth0 address ${other!.lease.mac}`);
  assert.equal(await reach(), "closed");
  assert.equal(await arrivals(), 0);
  await set(`ip link set eth0 address ${guest!.lease.mac}`);
  assert.equal(await reach(), uplink);
  assert.ok(await arrivals() > 0);
  await set(
    `ip address flush dev eth0; ip address add ${other!.lease.cidr} dev eth0
    ip route replace default via ${gateway}
    ip neigh replace ${gateway} lladdr ${bridgeMac} dev eth0 nud permanent`,
  );
  assert.equal(await reach(), "closed");
  assert.equal(await arrivals(), 0);
  await set(`ip neigh delete ${gateway} dev eth0`);
  // Nor does the host learn from it who another is.
  await set(`timeout 1 bash -c 'echo >/dev/udp/${gateway}/53' || true`);
  const neighbours = await host.run("ip neigh show dev banger0");
  assert.ok(!neighbours.includes(`${other!.lease.cidr.split("/")[0]} lladdr ${guest!.lease.mac}`));
  // IPv6 begins to speak by itself: nothing of it comes through.
  const [sent, heard] = ["eth0/statistics/tx_packets", "banger0/statistics/rx_packets"]
    .map((path) => `cat /sys/class/net/${path}`) as [string, string];
  const [sentBefore, heardBefore] = [await set(sent), await host.run(heard)];
  await set(
    "ip address flush dev eth0; echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6; sleep 2",
  );
  assert.ok(Number(await set(sent)) > Number(sentBefore));
  assert.equal(await host.run(heard), heardBefore);
});

networkTest("rules that something else flushed are noticed, and come back whole", async (host) => {
  const network = host.network();
  await network.ensure();
  assert.equal(await network.guard(), true);
  await host.answer(host.beyond, "tcp", beyond.internet, "80", "tcp", beyond.lan, "80");
  const [guest] = await connected(host, network, [open]);
  const whole = await host.run("nft list ruleset");
  assert.equal(await network.guard(), true);
  for (
    const harm of [
      "nft flush ruleset",
      "nft delete table bridge banger",
      "nft flush chain inet banger from_guest",
      "nft flush set bridge banger pins",
      "nft add rule inet banger input accept",
    ]
  ) {
    await host.run(harm);
    assert.equal(await network.guard(), false, harm);
    assert.equal(await host.run("nft list ruleset"), whole, harm);
    assert.equal(await network.guard(), true, harm);
  }
  // Also what was flushed before anybody had looked.
  const next = host.network();
  await next.ensure();
  await host.run("nft flush ruleset");
  await next.guard();
  assert.equal(await host.run("nft list ruleset"), whole);
  // The next process does not know who made what it finds.
  assert.equal(await host.network().guard(), false);
  assert.equal(await host.run("nft list ruleset"), whole);
  assert.equal(await ask(host, guest!.guest, beyond.internet, 80), uplink);
  assert.equal(await ask(host, guest!.guest, beyond.lan, 80), "closed");
});

networkTest("whatever became of devices and registry, ensure mends it", async (host) => {
  const network = host.network();
  const facts = await network.ensure();
  assert.deepEqual(facts, {
    ...{ bridge: "banger0", gateway, subnet: "10.83.0.0/20", places: 1000 },
  });
  const vms = [newId<VmId>(), newId<VmId>(), newId<VmId>()] as const;
  for (const vm of vms) await network.attach(vm, open);
  const devices = () => host.run("ip -o link show | sed 's/^[0-9]*: //; s/:.*//' | sort | xargs");
  const all = "banger0 banger0-vm0 banger0-vm1 banger0-vm2 lan@if3 lo up0@if2\n";
  assert.equal(await devices(), all);
  for (
    const harm of [
      "ip link delete banger0-vm1",
      "ip link set banger0-vm1 nomaster",
      "ip link delete banger0-vm1; ip link add banger0-vm1 type bridge",
      "ip link delete banger0",
      "ip address flush dev banger0; ip link set banger0 down",
      "ip tuntap add banger0-vm77 mode tap",
      "echo 0 >/proc/sys/net/ipv4/ip_forward",
    ]
  ) {
    await host.run(harm);
    await host.network().ensure();
    assert.equal(await devices(), all, harm);
    assert.match(await host.run("ip -o -4 address show dev banger0"), /10\.83\.0\.1\/20/, harm);
    assert.equal(await host.run("cat /proc/sys/net/ipv4/ip_forward"), "1\n", harm);
    const ports = await host.run("bridge -d link show | grep -c 'isolated on'");
    assert.equal(ports, "3\n", harm);
  }
  // The next process has the same leases; a place is given again when it is free.
  const next = host.network();
  assert.deepEqual((await next.leases()).map(({ vm }) => vm), vms);
  await next.detach(vms[1]);
  await next.detach(vms[1]);
  assert.equal(await devices(), "banger0 banger0-vm0 banger0-vm2 lan@if3 lo up0@if2\n");
  assert.equal((await next.attach(newId<VmId>(), open)).tap, "banger0-vm1");
  await assert.rejects(
    next.remove(),
    (error) => isBangerError(error, "conflict") && /3 VMs are on it/.test(error.message),
  );
  // A registry that does not hold together is none: its taps go.
  for (const broken of ["", "{", '{"version":2}', "[]", "x".repeat(2_000_000)]) {
    await Deno.writeTextFile(host.registryPath, broken);
    assert.deepEqual(await host.network().leases(), []);
  }
  const last = host.network();
  await last.ensure();
  assert.equal(await devices(), "banger0 lan@if3 lo up0@if2\n");
  await last.remove();
  await last.remove();
  assert.equal(await devices(), "lan@if3 lo up0@if2\n");
  assert.equal(await host.run("nft list ruleset"), "");
});

networkTest("what the host uses otherwise is refused, and stays as it is", async (host) => {
  const before = await host.run("ip -j address show; ip route show table all");
  const refused = async (words: Parameters<HostNamespace["network"]>[0], message: RegExp) => {
    const network = host.network(words);
    const isSo = (error: unknown) => {
      assert.ok(isBangerError(error, "conflict"), String(error));
      assert.match(error.message, message);
      assert.notEqual(error.hint, undefined);
      return true;
    };
    await assert.rejects(network.ensure(), isSo);
    await assert.rejects(network.attach(newId<VmId>(), open), isSo);
    assert.deepEqual(await network.leases(), []);
    assert.equal(await host.run("ip -j address show; ip route show table all"), before);
    assert.equal(await host.run("nft list ruleset"), "");
    assert.equal(await host.run("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
  };
  await refused({ bridge: "lan" }, /^Cannot make the bridge lan: a device of another's/);
  await refused(
    { subnet: "192.168.0.0/16" },
    /^Cannot use the subnet 192\.168\.0\.0\/16 for VMs: this host has a route for 192\.168\.77/,
  );
  await refused({ subnet: "192.168.77.128/25" }, /a route for 192\.168\.77/);
});

networkTest(
  "every place can be taken, none twice, and what was forwarded before stays so",
  async (host) => {
    await host.run("echo 1 >/proc/sys/net/ipv4/ip_forward");
    const network = host.network({ subnet: "10.83.7.0/29" });
    const vms = Array.from({ length: 5 }, () => newId<VmId>());
    const leases = await Promise.all(vms.map((vm) => network.attach(vm, open)));
    assert.equal(new Set(leases.map(({ cidr }) => cidr)).size, 5);
    assert.equal(new Set(leases.map(({ uid }) => uid)).size, 5);
    await assert.rejects(
      network.attach(newId<VmId>(), open),
      (error) => isBangerError(error, "exhausted") && /all 5 addresses/.test(error.message),
    );
    await Promise.all(vms.map((vm) => network.detach(vm)));
    await network.remove();
    assert.equal(await host.run("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
  },
);

networkTest(
  "a change that fails at any step leaves what was before, and succeeds the next time",
  async (host) => {
    await host.network().ensure();
    const first = await host.network().attach(newId<VmId>(), open);
    const state = async () => ({
      devices: await host.run("ip -o link show | sed 's/^[0-9]*: //; s/ .*state/ /; s/ mode.*//'"),
      rules: await host.run("nft list ruleset"),
      leases: await host.network().leases(),
    });
    const before = await state();
    const made = async (fault: FaultyTools, isWarm: boolean) => {
      const network = host.network({}, fault);
      // What has looked at the host once changes only what it must.
      fault.isArmed = false;
      if (isWarm) await network.ensure();
      fault.isArmed = true;
      return network;
    };
    const ways = [["before", false], ["after", false], ["before", true], ["after", true]] as const;
    for (const [when, isWarm] of ways) {
      for (let step = 1;; step++) {
        const where = `${when} step ${step}, ${isWarm ? "warm" : "cold"}`;
        const vm = newId<VmId>();
        const fault = new FaultyTools(host.via, { step, when, once: false });
        const network = await made(fault, isWarm);
        const failed = await network.attach(vm, open).then(() => undefined, String);
        if (!fault.hasFailed) {
          assert.equal(failed, undefined, where);
          assert.ok(step > 5, where);
          await host.network().detach(vm);
          break;
        }
        assert.match(failed ?? "", /fault/, where);
        // It has ended there, or could not undo what it had done: the next one asks for what it wants.
        await host.network().attach(vm, open);
        const ending = new FaultyTools(host.via, { step, when, once: false });
        await (await made(ending, isWarm)).detach(vm).catch(() => {});
        await host.network().detach(vm);
        assert.deepEqual(await state(), before, `detach, ${where}`);
        // One call fails, and nothing else.
        const slip = new FaultyTools(host.via, { step, when, once: true });
        const slipped = await made(slip, isWarm);
        if (await slipped.attach(vm, open).then(() => false, () => true)) {
          assert.deepEqual(await state(), before, where);
        }
        await slipped.attach(vm, open);
        await slipped.detach(vm);
        assert.deepEqual(await state(), before, where);
      }
    }
    assert.deepEqual((await host.network().leases()).map(({ vm }) => vm), [first.vm]);
  },
);

networkTest("a process that is cut off at any step is made good by the next", async (host) => {
  for (const when of ["before", "after"] as const) {
    for (let step = 1;; step++) {
      const fault = new FaultyTools(host.via, { step, when, once: false });
      await host.network({}, fault).attach(newId<VmId>(), open).catch(() => {});
      const next = host.network();
      await next.ensure();
      const taps = (await next.leases()).map(({ tap }) => tap);
      const devices = (await host.run("ls /sys/class/net | grep banger0-vm || true")).trim();
      assert.equal(devices, taps.join("\n"), `${when} step ${step}`);
      assert.equal(await next.guard(), true);
      for (const { vm } of await next.leases()) await next.detach(vm);
      await next.remove();
      assert.equal(await host.run("nft list ruleset; ls /sys/class/net | grep banger || true"), "");
      assert.equal(await host.run("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
      if (!fault.hasFailed) break;
    }
  }
});

networkTest("what a caller sends is checked: nothing of it reaches the host", async (host) => {
  const network = host.network();
  await network.ensure();
  const before = await host.run("ip -j link show; nft list ruleset");
  const vms = [
    ...["", "web", "eth0", "-j", "0", "../../etc", "0123456789ABCDEF", "0123456789abcdef0", "\0"],
    ...["0123456789abcde", "0123456789abcdeg", " 123456789abcdef", "0123456789abcdef\n"],
    ...[
      "\uff11".repeat(16),
      null,
      undefined,
      0,
      1,
      -1,
      NaN,
      {},
      [],
      ["0123456789abcdef"],
      true,
      10n,
    ],
    ...[{ toString: () => "0123456789abcdef" }, "0123456789abcdef; link delete dev lo", "$(id)"],
  ];
  const policies = [
    ...[null, undefined, 0, "", "internet", [], {}, { reach: "internet" }, { peers: true }],
    ...[{ reach: "", peers: true }, { reach: "INTERNET", peers: true }, { reach: 0, peers: true }],
    ...[{ reach: ["internet"], peers: true }, { reach: "0.0.0.0/0", peers: true }],
    ...[{ reach: "none } ; flush ruleset", peers: false }, { reach: "internet", peers: "yes" }],
    ...[{ reach: "internet", peers: 1 }, { reach: "constructor", peers: true }],
  ];
  const isRefused = (error: unknown) => isBangerError(error, "invalid");
  for (const vm of vms) {
    await assert.rejects(network.attach(vm as VmId, open), isRefused);
    await assert.rejects(network.detach(vm as VmId), isRefused);
  }
  for (const policy of policies) {
    await assert.rejects(network.attach(newId<VmId>(), policy as NetworkPolicy), isRefused);
  }
  assert.deepEqual(await network.leases(), []);
  assert.equal(await host.run("ip -j link show; nft list ruleset"), before);
});
