/** A store that cannot be used: every command says so, nothing touches it, the daemon can be ended. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import type { Banger } from "../support/banger.ts";
import { freshTest, refused } from "../support/end_to_end.ts";

const commands: readonly (readonly [readonly string[], number])[] = [
  [["vm", "list"], 5],
  [["vm", "show", "x"], 5],
  [["vm", "create"], 5],
  [["vm", "start", "x"], 5],
  [["vm", "run", "--no-workspace", "--", "true"], 125],
  [["vm", "exec", "x", "--", "true"], 125],
  [["image", "list"], 5],
  [["image", "delete", "x"], 5],
  [["kernel", "pull", "debian-6.1-cloud"], 5],
];

/** Makes a good store, changes it, and checks that everything refuses with `words`. */
async function refusesStore(
  banger: Banger,
  change: (file: string) => Promise<void> | void,
  words: RegExp,
): Promise<void> {
  await banger.ok(["vm", "list"]);
  await banger.ok(["daemon", "stop"]);
  const file = `${banger.home}/.local/state/banger/store.db`;
  await change(file);
  const before = await hashOf(file);
  for (const [args, code] of commands) await refused(banger, args, code, words);
  assert.equal((await banger.run(["daemon", "status"])).code, 0);
  const doctor = await banger.run(["doctor"]);
  assert.equal(doctor.code, 5);
  assert.match(doctor.stdout, /FAIL daemon +Cannot open the store/);
  await banger.ok(["daemon", "stop"]);
  assert.equal(await hashOf(file), before, "the file is as it was");
}

async function hashOf(file: string): Promise<string> {
  return createHash("sha256").update(await Deno.readFile(file)).digest("hex");
}

function sql(file: string, text: string): void {
  using db = new DatabaseSync(file);
  db.exec(text);
}

const wayOut =
  /it is damaged \(.*\n {2}hint: Nothing was changed\. .*banger daemon stop; .*store\.db'/;

freshTest("a store of garbage is refused and kept", (banger) =>
  refusesStore(
    banger,
    (file) => Deno.writeFile(file, crypto.getRandomValues(new Uint8Array(20_000))),
    wayOut,
  ));

freshTest(
  "a store that was cut off is refused and kept",
  (banger) => refusesStore(banger, (file) => Deno.truncate(file, 10_000), wayOut),
);

freshTest(
  "a store of another program is refused and kept",
  (banger) =>
    refusesStore(banger, async (file) => {
      await Deno.remove(file);
      sql(file, "CREATE TABLE theirs (x); PRAGMA application_id = 1234");
    }, /it belongs to another program\n {2}hint: Move it away: mv /),
);

freshTest("a store of a newer banger is refused and kept", (banger) =>
  refusesStore(
    banger,
    (file) => sql(file, "PRAGMA journal_mode = DELETE; PRAGMA user_version = 999"),
    /a newer banger wrote it \(schema 999, .*\n {2}hint: Use that banger again; nothing was changed/,
  ));
