import { stripVTControlCharacters } from "node:util";

/** How the tests of one run ended. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** The failed ones, in the order of the report. */
  readonly failures: readonly TestFailure[];
}

/** A test that failed, and what it said, in one line. */
export interface TestFailure {
  readonly name: string;
  readonly reason: string;
}

/**
 * Counts the tests in a JUnit report of `deno test --junit-path`. Steps are not counted, only tests.
 *
 * @throws Error when the report has no test suites element, as when the run was cut off.
 */
export function countTests(report: string): TestCounts {
  if (!report.includes("<testsuites")) throw new Error("Cannot count tests: no JUnit report");
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [] as TestFailure[] };
  for (const suite of report.matchAll(/<testsuite\s[^>]*>([\s\S]*?)<\/testsuite>/g)) {
    const cases = [...testCases(suite[1] ?? "")];
    const names = new Set(cases.map(({ name }) => name));
    for (const { name, body } of cases) {
      if (isStep(name, names)) continue;
      if (/<(failure|error)[\s>]/.test(body)) {
        counts.failed += 1;
        counts.failures.push({ name: unescapeXml(name), reason: failureReason(body) });
      } else if (/<skipped[\s/>]/.test(body)) counts.skipped += 1;
      else counts.passed += 1;
    }
  }
  return counts;
}

/**
 * The `message` attribute as one line without colours; of a long one the beginning and the end: what failed is said
 * first, and what was printed meanwhile last.
 */
function failureReason(body: string): string {
  const message = unescapeXml(/<(?:failure|error)\s[^>]*?message="([^"]*)"/.exec(body)?.[1] ?? "");
  const lines = stripVTControlCharacters(message).split("\n").map((text) => text.trim());
  const line = lines.filter((text) => text !== "").join(" | ") || "no message";
  return line.length > 900 ? `${line.slice(0, 300)} … ${line.slice(-600)}` : line;
}

const entities: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&amp;": "&",
};

function unescapeXml(text: string): string {
  return text
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => entities[entity] ?? entity);
}

interface TestCase {
  readonly name: string;
  readonly body: string;
}

/** A case without content may close itself. Markup in the attributes and the content is escaped. */
function* testCases(suite: string): Generator<TestCase> {
  const pattern = /<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g;
  for (const [, name = "", body = ""] of suite.matchAll(pattern)) yield { name, body };
}

/** A step is reported as a case of its own that is named "TEST > STEP"; a failed one fails its test. */
function isStep(name: string, names: ReadonlySet<string>): boolean {
  const separator = " &gt; ";
  for (let at = name.indexOf(separator); at >= 0; at = name.indexOf(separator, at + 1)) {
    if (names.has(name.slice(0, at))) return true;
  }
  return false;
}

/** The sum of two counts. */
export function addCounts(a: TestCounts, b: TestCounts): TestCounts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    failures: [...a.failures, ...b.failures],
  };
}
