import assert from "node:assert/strict";
import fc from "fast-check";
import { formatIpv4, formatIpv4Range, overlaps, parseIpv4, parseIpv4Range } from "./ipv4.ts";

const address = fc.nat(0xffffffff);
const range = fc.tuple(address, fc.nat(32)).map(([base, prefix]) => {
  const size = 2 ** (32 - prefix);
  return { base: Math.floor(base / size) * size, prefix };
});

Deno.test("an address is what it was when it is written and read", () => {
  fc.assert(fc.property(address, (value) => parseIpv4(formatIpv4(value)) === value));
  fc.assert(
    fc.property(range, (value) => {
      assert.deepEqual(parseIpv4Range(formatIpv4Range(value)), value);
    }),
  );
});

Deno.test("what is no address is none", () => {
  for (
    const text of [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.256",
      "01.2.3.4",
      "0x1.2.3.4",
      " 1.2.3.4",
      "::1",
    ]
  ) {
    assert.equal(parseIpv4(text), undefined, text);
  }
  for (
    const text of ["1.2.3.4/33", "1.2.3.4/", "1.2.3.4/24", "1.2.3.0/24/1", "1.2.3.0/024", "/24"]
  ) {
    assert.equal(parseIpv4Range(text), undefined, text);
  }
  assert.deepEqual(parseIpv4Range("1.2.3.4"), { base: 0x01020304, prefix: 32 });
  assert.deepEqual(parseIpv4Range("0.0.0.0/0"), { base: 0, prefix: 0 });
});

Deno.test("ranges overlap when one has an end of the other", () => {
  const last = ({ base, prefix }: { base: number; prefix: number }) =>
    base + 2 ** (32 - prefix) - 1;
  fc.assert(
    fc.property(range, range, (a, b) => {
      assert.equal(overlaps(a, b), a.base <= last(b) && b.base <= last(a));
    }),
  );
});
