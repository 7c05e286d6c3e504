import assert from "node:assert/strict";
import fc from "fast-check";
import { laneControl, laneCount, lanePortName } from "./lane.ts";

const channel = fc.constantFrom("stdin", "stdout", "stderr");
const control = fc.oneof(
  fc.record({ control: fc.constant("lane_offer"), channel }),
  fc.record({
    control: fc.constant("lane_answer"),
    channel,
    lane: fc.nat(laneCount - 1),
    nonce: fc.stringMatching(/^[0-9a-f]{64}$/),
  }),
  fc.record({
    control: fc.constant("lane_answer"),
    channel,
    lane: fc.constant(null),
    nonce: fc.constant(""),
  }),
  fc.record({
    control: fc.constant("lane_outcome"),
    channel,
    outcome: fc.constantFrom("joined", "cancelled", "failed"),
  }),
  fc.record({ control: fc.constant("lane_end"), channel, bytes: fc.maxSafeNat() }),
);

Deno.test("control messages of lanes are read as they were written", () => {
  fc.assert(fc.property(control, (message) => {
    const text = JSON.stringify(message);
    assert.deepEqual(laneControl(JSON.parse(text)), JSON.parse(text));
  }));
});

Deno.test("any other value is none, and never throws", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    assert.equal(laneControl(value), null);
  }));
  for (
    const wrong of [
      { control: "signal", signal: "INT" },
      { control: "lane_offer" },
      { control: "lane_offer", channel: "fd3" },
      { control: "lane_answer", channel: "stdin", lane: laneCount, nonce: "a".repeat(64) },
      { control: "lane_answer", channel: "stdin", lane: -1, nonce: "a".repeat(64) },
      { control: "lane_answer", channel: "stdin", lane: 0, nonce: `${"a".repeat(63)}\n` },
      { control: "lane_answer", channel: "stdin", lane: 0 },
      { control: "lane_outcome", channel: "stdin", outcome: "perhaps" },
      { control: "lane_end", channel: "stdout", bytes: -1 },
      { control: "lane_end", channel: "stdout", bytes: 0.5 },
      { control: "lane_end", channel: "stdout", bytes: 2 ** 53 },
      { control: "lane_end", channel: "stdout", bytes: "9" },
    ]
  ) assert.equal(laneControl(wrong), null, JSON.stringify(wrong));
});

Deno.test("ports are named by number", () => {
  assert.equal(lanePortName(3), "banger.lane.3");
});
