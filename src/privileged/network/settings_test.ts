import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "../../model/errors.ts";
import { parseIpv4 } from "./ipv4.ts";
import {
  addressOf,
  defaultNetwork,
  gatewayOf,
  mostPlaces,
  networkSettings,
  placesIn,
  tapOf,
} from "./settings.ts";

const words = { ...defaultNetwork, firstUid: 700_000 };

Deno.test("what an installation may say about its network", () => {
  const settings = networkSettings(words);
  assert.equal(gatewayOf(settings), "10.83.0.1");
  assert.equal(addressOf(settings, 0), "10.83.0.2");
  assert.equal(tapOf(settings, 12), "banger0-vm12");
  assert.equal(placesIn(settings), mostPlaces);
  assert.equal(placesIn(networkSettings({ ...words, subnet: "192.168.7.8/29" })), 5);
});

Deno.test("every place has a tap and an address of its own, and a name that the kernel takes", () => {
  const prefix = fc.integer({ min: 16, max: 29 });
  const base = fc.constantFrom("10.83", "172.31", "192.168", "100.127");
  fc.assert(
    fc.property(base, prefix, fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/), (net, length, bridge) => {
      const settings = networkSettings({ ...words, bridge, subnet: `${net}.0.0/${length}` });
      const places = placesIn(settings);
      assert.ok(places >= 5 && places <= mostPlaces);
      const lowest = parseIpv4(addressOf(settings, 0))!;
      const highest = parseIpv4(addressOf(settings, places - 1))!;
      assert.equal(highest - lowest, places - 1);
      assert.ok(highest < settings.subnet.base + 2 ** (32 - length) - 1);
      assert.ok(tapOf(settings, places - 1).length <= 15);
    }),
  );
});

Deno.test("every other word is refused with the setting and its rule", () => {
  const wrong: readonly [Partial<typeof words> | object, RegExp][] = [
    ...["", "eth0\n", "a".repeat(9), "a-b", "Banger", "0net", "a b", "../x", "-j", "a/b"].map((
      bridge,
    ) => [{ bridge }, /^Cannot use bridge_name .*: it is 1 to 8 letters/] as [object, RegExp]),
    ...["", "10.83.0.0", "10.83.0.1/20", "fe80::/64", "10.83.0.0/20; flush ruleset", "10.0.0.0/8"]
      .map((subnet) => [{ subnet }, /^Cannot use subnet /] as [object, RegExp]),
    ...["0.0.0.0/16", "8.8.0.0/16", "127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/16", "10.0.0.0/30"]
      .map((subnet) => [{ subnet }, /^Cannot use subnet /] as [object, RegExp]),
    ...[0, 53, 65_536, 1053.5, NaN].map((dnsPort) =>
      [{ dnsPort }, /^Cannot use dns_port .*: it is 1024 to 65535$/] as [object, RegExp]
    ),
    ...[0, 1000, 65_534, 2 ** 32, -1, NaN].map((firstUid) =>
      [{ firstUid }, /^Cannot use first_uid /] as [object, RegExp]
    ),
  ];
  for (const [change, message] of wrong) {
    assert.throws(
      () => networkSettings({ ...words, ...change }),
      (error) => isBangerError(error, "invalid") && message.test(error.message),
      JSON.stringify(change),
    );
  }
});
