import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapProgress } from "./bootstrap_progress.ts";
import { writeMarker } from "./build_script.ts";

function follow(lines: readonly string[]) {
  const progress = new BootstrapProgress(4);
  return lines.map((line) => progress.next(line));
}

Deno.test("what mmdebstrap, apt and dpkg print becomes steps", () => {
  const steps = follow([
    "I: running apt-get update...",
    "Get:1 http://mirror.test/debian bookworm InRelease [151 kB]",
    "I: downloading packages with apt...",
    "0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.",
    "Get:1 http://mirror.test/debian bookworm/main amd64 libc6 amd64 2.36-9+deb12u14 [2759 kB]",
    "Unpacking libc6:amd64 (2.36-9+deb12u14) ...",
    "Setting up libc6:amd64 (2.36-9+deb12u14) ...",
    "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
    "Unpacking g++ (4:12.2.0-3) ...",
    "Reading package lists...",
    writeMarker,
  ]);
  const step = (done: number, total: number, note: string, phase = "bootstrap") => ({
    ...{ phase, done, total, note },
  });
  assert.deepEqual(steps, [
    step(0, 12, "Reading the archive's package lists"),
    undefined,
    step(0, 12, "Downloading the base system"),
    undefined,
    step(1, 12, "Fetching libc6"),
    step(2, 12, "Unpacking libc6"),
    step(3, 12, "Setting up libc6"),
    undefined,
    step(4, 9, "Unpacking g++"),
    undefined,
    step(4, 9, "Writing the file system", "write"),
  ]);
});

Deno.test("no line makes it throw, and done never passes total", () => {
  const line = fc.oneof(
    fc.string(),
    fc.nat(99).map((n) => `0 upgraded, ${n} newly installed, 0 to remove`),
    fc.constantFrom("Unpacking a (1) ...", "Setting up a (1) ...", "I: extracting archives..."),
  );
  fc.assert(fc.property(fc.array(line, { maxLength: 200 }), (lines) => {
    for (const step of follow(lines)) {
      if (step !== undefined && step.total !== null) assert.ok(step.done <= step.total);
    }
  }));
});
