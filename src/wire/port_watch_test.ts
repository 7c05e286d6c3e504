import assert from "node:assert/strict";
import fc from "fast-check";
import { listenersControl, maxWatchedPorts } from "./port_watch.ts";

Deno.test("what a guest says of its ports is believed when it has the shape, and is no longer than allowed", () => {
  const control = "listeners";
  assert.deepEqual(listenersControl({ control, ports: [1, 65_535] })?.ports, [1, 65_535]);
  assert.deepEqual(listenersControl({ control, ports: [], more: 1 }), { control, ports: [] });
  const many = Array.from({ length: maxWatchedPorts + 1 }, (_, at) => at + 1);
  assert.notEqual(listenersControl({ control, ports: many.slice(1) }), null);
  const wrong = [many, [0], [65_536], [1.5], ["1"], [null], [NaN], [[]], "1", { length: 1 }, null];
  for (const ports of wrong) assert.equal(listenersControl({ control, ports }), null);
  fc.assert(fc.property(fc.anything(), (value) => {
    listenersControl(value);
    assert.equal(listenersControl({ control: "lane_offer", ports: value }), null);
  }));
});
