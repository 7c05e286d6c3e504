/** Much data through a command in a guest, by the built program and a real VM. */
import assert from "node:assert/strict";
import { type Banger, isBuilt, withCachedBanger } from "../support/banger.ts";
import { skipUnless } from "../support/require.ts";

const firstRunMs = 8 * 60_000;

/** A gibibyte each way over the agent link takes some minutes under software emulation. */
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

/** Moved both ways at once; 1024 by hand: over the agent link it takes some minutes. */
const mebibytes = Number(Deno.env.get("BANGER_TEST_BULK_MIB") ?? 48);

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
    done`,
    { timeoutMs: gibibyteMs },
  );
  const expected = ["2000000", "141", "4194304", "3", "8388608", "4", "gone", ""];
  assert.equal(stdout, expected.join("\n"), stderr);
});

test("a guest whose firewall closes the port is served over the agent link", async (banger) => {
  const { stdout, stderr } = await banger.script(
    `banger vm exec bulk -- /.banger/bin/busybox ip route add blackhole 10.0.2.2
    head -c 4M /dev/zero | banger vm exec bulk -- cat | wc -c`,
    { timeoutMs: gibibyteMs },
  );
  assert.equal(stdout.trim(), "4194304", stderr);
});
