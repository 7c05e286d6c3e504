import assert from "node:assert/strict";
import { addCounts, countTests } from "./junit.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="8" failures="3" errors="0" time="0.027">
    <testsuite name="./a_test.ts" tests="8" disabled="1" errors="0" failures="3">
        <testcase name="ok &lt;a&gt; &amp; b" classname="./a_test.ts" time="0.003" line="1" col="6">
        </testcase>
        <testcase name="ignored" classname="./a_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="bad" classname="./a_test.ts" time="0.001" line="3" col="6">
            <failure message="Error: x &lt; y">Error: x &lt;/testcase&gt;</failure>
        </testcase>
        <testcase name="bad step" classname="./a_test.ts" time="0.001" line="5" col="6">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="a &gt; b" classname="./a_test.ts" time="0.001" line="6" col="6"/>
        <testcase name="ok &lt;a&gt; &amp; b &gt; step" classname="./a_test.ts" time="0.000" line="1" col="5">
        </testcase>
        <testcase name="bad step &gt; in" classname="./a_test.ts" time="0.000" line="5" col="42">
            <failure message="Uncaught Error: q">Error: q</failure>
        </testcase>
    </testsuite>
    <testsuite name="./b_test.ts" tests="1" disabled="0" errors="0" failures="0">
        <testcase name="bad" classname="./b_test.ts" time="0.003" line="1" col="6">
        </testcase>
    </testsuite>
</testsuites>`;

Deno.test("a JUnit report is counted by tests, not by steps", () => {
  const { failures: _, ...counts } = countTests(report);
  assert.deepEqual(counts, { passed: 3, failed: 2, skipped: 1 });
});

Deno.test("a failed test is named with its message in one line", () => {
  assert.deepEqual(countTests(report).failures, [
    { name: "bad", reason: "Error: x < y" },
    { name: "bad step", reason: "1 test step failed" },
  ]);
});

Deno.test("of a long message the beginning and the end are told, without colours", () => {
  const printed = Array.from({ length: 200 }, (_, line) => `line ${line}`).join("&#10;");
  const long = report.replace(
    "Error: x &lt; y",
    `\u001b[31mError\u001b[0m: late:&#10;&#10;${printed}`,
  );
  const reason = countTests(long).failures[0]?.reason ?? "";
  assert.match(reason, /^Error: late: \| line 0 \| line 1 .* … .* \| line 199$/);
  assert.ok(reason.length < 1000);
});

Deno.test("a report that was cut off is refused, not counted as nothing", () => {
  assert.throws(() => countTests(""), /Cannot count tests/);
});

Deno.test("counts add up", () => {
  const failures = [{ name: "bad", reason: "Error: x" }];
  const one = { passed: 1, failed: 2, skipped: 3, failures };
  assert.deepEqual(addCounts(one, one), {
    passed: 2,
    failed: 4,
    skipped: 6,
    failures: [...failures, ...failures],
  });
});
