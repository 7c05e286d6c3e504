import assert from "node:assert/strict";
import { tscFrequencyKhz } from "./tsc_frequency.ts";

const cpuinfo = "processor\t: 0\ncpu MHz\t\t: 2596.138\ncache size\t: 512 KB\n";

Deno.test("a clock that does not scale is the counter's", () => {
  assert.equal(tscFrequencyKhz({ cpuinfo, baseFrequency: null, scales: false }), 2_596_138);
});

Deno.test("a clock that scales tells nothing, its base does", () => {
  assert.equal(tscFrequencyKhz({ cpuinfo, baseFrequency: "2600000", scales: true }), 2_600_000);
  assert.equal(tscFrequencyKhz({ cpuinfo, baseFrequency: null, scales: true }), null);
});

Deno.test("nonsense is no frequency", () => {
  for (const text of ["", "cpu MHz\t\t: 0.000\n", "cpu MHz : x\n", "cpu MHz : 9999999\n"]) {
    assert.equal(tscFrequencyKhz({ cpuinfo: text, baseFrequency: null, scales: false }), null);
  }
});
