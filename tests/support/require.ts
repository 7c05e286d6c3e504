/**
 * What tests share: asking for what they need, and telling why they did not run.
 *
 * Must not import anything of `src`.
 */

/**
 * Tells whether the test `name` must be skipped, for `Deno.test({ name, ignore: skipUnless(…), fn })`.
 * A skip is reported with its reason at the end of the run (`tests/run.ts`); nothing is silently left
 * out. `reason` says what is missing, for example `mmdebstrap is not installed`.
 */
export function skipUnless(name: string, condition: boolean, reason: string): boolean {
  if (condition) return false;
  const report = Deno.env.get("BANGER_TEST_SKIPS");
  if (report !== undefined && report !== "") {
    Deno.writeTextFileSync(report, `${JSON.stringify({ name, reason })}\n`, { append: true });
  }
  return true;
}
