import assert from "node:assert/strict";
import type { VmId } from "../../model/ids.ts";
import type { NetworkPolicy, TapLease } from "../contract.ts";
import { ruleScript } from "./rules.ts";
import { defaultNetwork, networkSettings } from "./settings.ts";

const settings = networkSettings({ ...defaultNetwork, firstUid: 700_000 });

function lease(place: number, policy: NetworkPolicy): TapLease {
  return {
    vm: place.toString(16).padStart(16, "0") as VmId,
    policy,
    tap: `banger0-vm${place}`,
    uid: 700_000 + place,
    mac: `02:00:00:00:00:${place.toString(16).padStart(2, "0")}`,
    cidr: `10.83.0.${place + 2}/20`,
  };
}

Deno.test("the rules of four VMs, word for word", async () => {
  const script = ruleScript(settings, [
    lease(0, { reach: "internet", peers: false }),
    lease(1, { reach: "none", peers: false }),
    lease(2, { reach: "everywhere", peers: true }),
    lease(7, { reach: "internet", peers: true }),
  ]);
  const golden = new URL("./testdata/rules.nft", import.meta.url);
  if (Deno.env.get("BANGER_UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden, script);
  assert.equal(script, await Deno.readTextFile(golden));
});

Deno.test("the rules grow by what a VM adds to sets, and by nothing else", () => {
  const script = (count: number) =>
    ruleScript(
      settings,
      Array.from(
        { length: count },
        (_, place) => lease(place, { reach: "internet", peers: false }),
      ),
    );
  const [ten, twenty] = [script(10), script(20)];
  assert.equal(twenty.split("\n").length, ten.split("\n").length);
  assert.ok(twenty.length - ten.length < 10 * 60);
});
