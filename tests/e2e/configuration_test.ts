/** A configuration that is wrong: file, line and column, from every command that reads it. */
import assert from "node:assert/strict";
import { configure, freshTest, refused } from "../support/end_to_end.ts";

const wrong: readonly (readonly [what: string, text: string, words: string])[] = [
  ["no TOML", "[vm_defaults]\ncpus = = 2\n", String.raw`:2:8": it is not TOML`],
  ["an unknown key", '\nboot_timout = "9s"\n', String.raw`:2:1": there is no key "boot_timout"`],
  ["a bad number", "[vm_defaults]\n  cpus = 10000\n", String.raw`:2:3": .*from 1 to 64`],
  ["a bad size", '[vm_defaults]\nmemory = "1M"\n', String.raw`:2:1": .*from 256M`],
  ["a bad time", 'boot_timeout = "soon"\n', String.raw`:1:1": .*from 1s to 1h`],
  ["a bad URL", '[catalog]\ndebian_mirror = "ftp://x"\n', String.raw`:2:1": .*http or https`],
];

freshTest(
  "a wrong configuration is refused with line and column, and starts nothing",
  async (banger) => {
    for (const [what, text, place] of wrong) {
      await configure(banger, text);
      const words = new RegExp(String.raw`config\.toml${place}`);
      await refused(banger, ["config", "show"], 2, words);
      await refused(banger, ["vm", "run", "--no-workspace", "--", "true"], 125, words);
      await refused(banger, ["vm", "list"], 2, words);
      const doctor = await banger.run(["doctor"]);
      assert.equal(doctor.code, 5, what);
      assert.match(doctor.stdout, new RegExp(String.raw`FAIL config .*${place}`), what);
      assert.equal((await banger.run(["daemon", "status"])).code, 1, what);
    }
    await configure(banger, '\nboot_timout = "9s"\n');
    await refused(banger, ["config", "show"], 2, /hint: .*boot_timeout/);
  },
);
