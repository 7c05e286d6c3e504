/** Much data through a command in a guest, by the built program and a real VM. */
import assert from "node:assert/strict";
import { type Banger, isBuilt, withCachedBanger } from "../support/banger.ts";
import { skipUnless } from "../support/require.ts";

const firstRunMs = 8 * 60_000;

/** A gibibyte each way takes under a minute of two idle processors under software emulation. */
const gibibyteMs = 15 * 60_000;

function test(name: string, body: (banger: Banger) => Promise<void>): void {
  const ignore = skipUnless(name, isBuilt(), "build/bin/banger is not built");
  Deno.test({
    name,
    ignore,
    fn: () =>
      withCachedBanger(async (banger) => {
        const run = ["vm", "run", "--no-workspace", "--name", "bulk", "--", "true"];
        await banger.ok(run, { timeoutMs: firstRunMs });
        await body(banger);
      }),
  });
}

/** Moved both ways at once. */
const mebibytes = Number(Deno.env.get("BANGER_TEST_BULK_MIB") ?? 1024);

/** Shell words that print how many lanes the guest has open. */
const openLanes = `banger vm exec bulk -- sh -c \
  "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c '/dev/vport0p[2-9]'"`;

test(`${mebibytes} MiB through stdin and stdout at once come back unchanged`, async (banger) => {
  const { stdout, stderr } = await banger.script(
    `sum=$(mktemp); trap 'rm "$sum"' EXIT
    seq 1 1000000000 | head -c ${mebibytes}M | tee >(sha256sum >"$sum") |
      banger vm exec bulk -- cat | sha256sum
    echo "code \${PIPESTATUS[3]}"; sleep 0.2; cat "$sum"`,
    { timeoutMs: gibibyteMs },
  );
  const [back, code, sent] = stdout.trim().split("\n");
  assert.equal(code, "code 0", stderr);
  assert.match(sent ?? "", /^[0-9a-f]{64} /);
  assert.equal(back, sent);
});

test("all three streams at once, each with its own bytes", async (banger) => {
  const { stdout, stderr } = await banger.script(
    `head -c 24M /dev/zero | banger vm exec bulk -- sh -c \\
      'yes error | head -c 8M >&2 & head -c 8M /dev/zero; wc -c; wait; exit 9' 2> >(md5sum >&2) |
      tail -c +8388609; echo "code \${PIPESTATUS[1]}"; yes error | head -c 8M | md5sum >&2; sleep 0.2`,
    { timeoutMs: gibibyteMs },
  );
  assert.equal(stdout, "25165824\ncode 9\n", stderr);
  const sums = stderr.trim().split("\n");
  assert.equal(sums.length, 2, stderr);
  assert.equal(sums[0], sums[1]);
});

test("ends are as without much data: yes | head, a program that stops reading, a killed client", async (banger) => {
  const { stdout, stderr } = await banger.script(
    `banger vm exec bulk -- yes | head -n 2000000 | wc -l; echo "\${PIPESTATUS[0]}"
    head -c 24M /dev/zero | banger vm exec bulk -- sh -c 'head -c 4M | wc -c; exit 3'; echo $?
    banger vm exec bulk -- sh -c 'head -c 8M /dev/zero; sleep 50 & exit 4' | wc -c; echo "\${PIPESTATUS[0]}"
    "$PROGRAM" vm exec bulk -- sh -c 'echo $$ >/tmp/pid; exec cat /dev/zero' >/dev/null & sleep 3
    kill -9 $!; wait
    for i in $(seq 100); do
      banger vm exec bulk -- sh -c '! kill -0 $(cat /tmp/pid) 2>/dev/null' && echo gone && break
    done
    timeout --preserve-status -s INT 5 "$PROGRAM" vm exec bulk -- cat /dev/zero | cat >/dev/null
    echo "\${PIPESTATUS[0]}"; ${openLanes}`,
    { timeoutMs: gibibyteMs },
  );
  const expected = ["2000000", "141", "4194304", "3", "8388608", "4", "gone", "130", "0", ""];
  assert.equal(stdout, expected.join("\n"), stderr);
});

test("eight commands at once, more than there are lanes, and then one after the other", async (banger) => {
  const { stdout, stderr } = await banger.script(
    `for i in $(seq 8); do
      (seq $i 500000 | banger vm exec bulk -- sh -c 'tee /dev/stderr' 2>/tmp/$$.$i | cksum | sed "s/^/$i /") &
    done | sort; wait
    for i in $(seq 8); do cksum </tmp/$$.$i; rm /tmp/$$.$i; done
    for i in $(seq 8); do seq $i 500000 | cksum; done
    for i in $(seq 12); do seq 200000 | banger vm exec bulk -- cat | cksum; done | uniq -c
    seq 200000 | cksum; ${openLanes}`,
    { timeoutMs: gibibyteMs },
  );
  const lines = stdout.trim().split("\n");
  const expected = lines.slice(16, 24);
  assert.deepEqual(lines.slice(0, 8), expected.map((sum, index) => `${index + 1} ${sum}`), stderr);
  assert.deepEqual(lines.slice(8, 16), expected, stderr);
  assert.deepEqual(lines.slice(24), [`     12 ${lines[25]}`, lines[25], "0"], stderr);
});

test("a daemon that is killed in the middle: the next one moves as much", async (banger) => {
  const { stdout, stderr } = await banger.script(
    `pid=$(banger daemon status --json | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*$')
    for i in 1 2 3; do "$PROGRAM" vm exec bulk -- cat </dev/zero >/dev/null 2>&1 & done
    "$PROGRAM" vm exec bulk -- sh -c 'cat >/dev/null; echo "its end" >/tmp/end' </dev/zero 2>/dev/null &
    sleep 5; kill -9 $pid; wait
    for i in 1 2 3; do seq 500000 | banger vm exec bulk -- cat | cksum; done | uniq -c
    seq 500000 | cksum; banger vm exec bulk -- ls /tmp/end 2>&1 | tail -n 1; ${openLanes}`,
    { timeoutMs: gibibyteMs },
  );
  const [sums, sum, end, open] = stdout.trim().split("\n");
  assert.equal(sums?.trim(), `3 ${sum}`, stderr);
  assert.match(end ?? "", /No such file/, "a command must not take its broken stdin for the whole");
  assert.equal(open, "0");
});
