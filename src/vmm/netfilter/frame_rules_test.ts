import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameRules } from "./frame_rules.ts";
import { frameOf, type FrameParts, guest, oracle } from "../../../tests/support/frame_fixture.ts";

const rules = new FrameRules(guest);

function whyDropped(frame: Uint8Array): string | undefined {
  // Surrounded by other bytes, which must not matter.
  const buffer = new Uint8Array(frame.length + 16).fill(0xa5);
  buffer.set(frame, 8);
  return rules.whyDropped(new DataView(buffer.buffer), 8, frame.length);
}

const dropped: readonly (readonly [string, FrameParts, string])[] = [
  ["to the host's loopback", { to: "127.0.0.1" }, "forbidden destination"],
  ["to the end of the loopback net", { to: "127.255.255.254" }, "forbidden destination"],
  [
    "to the host's resolver on loopback",
    { to: "127.0.0.53", protocol: 17 },
    "forbidden destination",
  ],
  ["to no address, which is the loopback", { to: "0.0.0.0" }, "forbidden destination"],
  ["to this network", { to: "0.1.2.3" }, "forbidden destination"],
  ["to a metadata service", { to: "169.254.169.254" }, "forbidden destination"],
  ["to a multicast group", { to: "224.0.0.251", protocol: 17 }, "forbidden destination"],
  ["to a reserved address", { to: "240.0.0.1" }, "forbidden destination"],
  ["from the loopback", { from: "127.0.0.1" }, "foreign IPv4 source"],
  ["from another address", { from: "10.0.2.16" }, "foreign IPv4 source"],
  ["from no address, but not for DHCP", { from: "0.0.0.0" }, "foreign IPv4 source"],
  ["from another MAC", { fromMac: "02:00:00:00:00:02" }, "foreign source MAC"],
  ["to another MAC", { toMac: "02:00:00:00:00:02" }, "foreign destination MAC"],
  ["to all", { toMac: "ff:ff:ff:ff:ff:ff" }, "broadcast other than DHCP"],
  ["to the broadcast address", { to: "255.255.255.255" }, "broadcast other than DHCP"],
  ["IPv6", { etherType: 0x86dd }, "neither ARP nor IPv4"],
  ["with a VLAN tag", { etherType: 0x8100 }, "neither ARP nor IPv4"],
  ["IPv6 behind IPv4's type", { versionAndLength: 0x65 }, "malformed IPv4 header"],
  ["with options", { versionAndLength: 0x46 }, "malformed IPv4 header"],
  ["with a short header", { versionAndLength: 0x44 }, "malformed IPv4 header"],
  ["shorter than it says", { totalLength: 41 }, "malformed IPv4 header"],
  ["with bytes behind the packet", { payload: 60, totalLength: 40 }, "malformed IPv4 header"],
  ["a first fragment", { fragment: 0x2000 }, "IPv4 fragment"],
  ["a later fragment", { fragment: 0x0001 }, "IPv4 fragment"],
  ["with the reserved bit", { fragment: 0x8000 }, "IPv4 fragment"],
  ["SCTP", { protocol: 132 }, "neither TCP, UDP nor ICMP"],
  ["IPv6 in IPv4", { protocol: 41 }, "neither TCP, UDP nor ICMP"],
  ["TCP without its header", { payload: -1 }, "malformed transport header"],
];

for (const [name, parts, reason] of dropped) {
  Deno.test(`a frame ${name} is dropped`, () => {
    assert.equal(whyDropped(frameOf(parts)), reason);
  });
}

Deno.test("TCP, UDP and ICMP of the guest's own to other machines pass, up to the greatest length", () => {
  for (
    const to of ["93.184.216.34", "10.0.2.2", "10.0.2.3", "192.168.1.1", "126.1.1.1", "128.0.0.1"]
  ) {
    for (const protocol of [1, 6, 17]) {
      assert.equal(whyDropped(frameOf({ to, protocol })), undefined, `${to} ${protocol}`);
    }
  }
  assert.equal(whyDropped(frameOf({ payload: 65_535 - 40 })), undefined);
  assert.equal(whyDropped(frameOf({ fragment: 0x4000 })), undefined, "don't fragment");
});

Deno.test("DHCP may start without an address, and nothing else may", () => {
  const dhcp: FrameParts = {
    toMac: "ff:ff:ff:ff:ff:ff",
    from: "0.0.0.0",
    to: "255.255.255.255",
    protocol: 17,
    ports: [68, 67],
    payload: 240,
  };
  assert.equal(whyDropped(frameOf(dhcp)), undefined);
  assert.equal(whyDropped(frameOf({ ...dhcp, from: "10.0.2.15" })), undefined);
  for (
    const change of [{ ports: [68, 53] }, { ports: [1, 67] }, { protocol: 6 }, {
      from: "127.0.0.1",
    }, {
      to: "127.0.0.1",
    }, { toMac: guest.gatewayMac }] as FrameParts[]
  ) {
    assert.notEqual(whyDropped(frameOf({ ...dhcp, ...change })), undefined, JSON.stringify(change));
  }
});

Deno.test("ARP may ask, answer and probe for the guest's own address only", () => {
  const arp = { etherType: 0x0806, toMac: "ff:ff:ff:ff:ff:ff" };
  assert.equal(whyDropped(frameOf({ ...arp, arp: {} })), undefined);
  assert.equal(whyDropped(frameOf({ ...arp, arp: { operation: 2 } })), undefined);
  const probe = { sender: "0.0.0.0", target: "10.0.2.15" };
  assert.equal(whyDropped(frameOf({ ...arp, arp: probe })), undefined);
  const foreign = "ARP for a foreign address";
  assert.equal(whyDropped(frameOf({ ...arp, arp: { ...probe, operation: 2 } })), foreign);
  assert.equal(whyDropped(frameOf({ ...arp, arp: { sender: "10.0.2.2" } })), foreign);
  assert.equal(whyDropped(frameOf({ ...arp, arp: { sender: "127.0.0.1" } })), foreign);
  const mac = { senderMac: "02:00:00:00:00:02" };
  assert.equal(whyDropped(frameOf({ ...arp, arp: mac })), "foreign source MAC");
  assert.equal(whyDropped(frameOf({ ...arp, arp: { operation: 3 } })), "malformed ARP");
  assert.equal(whyDropped(frameOf({ ...arp, arp: { hardware: 6 } })), "malformed ARP");
  assert.equal(whyDropped(frameOf({ ...arp, arp: {} }).subarray(0, 41)), "malformed ARP");
});

Deno.test("whatever bytes a frame has, it passes only if a plain reading of it allows it", () => {
  let passed = 0;
  const mutations = fc.array(fc.tuple(fc.nat({ max: 70 }), fc.nat({ max: 255 })), { maxLength: 2 });
  const address = fc.oneof(
    fc.constantFrom(
      "127.0.0.1",
      "0.0.0.0",
      "10.0.2.15",
      "255.255.255.255",
      "169.254.1.1",
      "1.1.1.1",
    ),
    fc.ipV4(),
  );
  const parts = fc.record({
    from: fc.oneof({ arbitrary: fc.constant("10.0.2.15"), weight: 3 }, address),
    to: fc.oneof(fc.constant("93.184.216.34"), address),
    toMac: fc.constantFrom(guest.gatewayMac, guest.gatewayMac, "ff:ff:ff:ff:ff:ff"),
    protocol: fc.constantFrom(1, 6, 17, 17, 41),
    ports: fc.constantFrom([68, 67] as const, [68, 53] as const, [1000, 80] as const),
    etherType: fc.constantFrom(0x0800, 0x0800, 0x0800, 0x0806, 0x86dd),
    arp: fc.record({ sender: address, operation: fc.nat({ max: 3 }) }),
    payload: fc.nat({ max: 60 }),
  });
  const likely = fc.tuple(parts, mutations, fc.nat({ max: 12 })).map(([some, changes, cut]) => {
    const frame = frameOf(some);
    for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
    return cut < 3 ? frame.slice(0, Math.max(0, frame.length - cut * 7)) : frame;
  });
  fc.assert(
    fc.property(
      fc.oneof({ arbitrary: likely, weight: 5 }, fc.uint8Array({ maxLength: 120 })),
      (frame) => {
        const passes = whyDropped(frame) === undefined;
        assert.equal(passes, oracle(frame), Array.from(frame).join(" "));
        if (passes) passed++;
      },
    ),
    { numRuns: 20_000 },
  );
  assert.ok(passed > 500, `only ${passed} frames passed: the property says nothing`);
});
