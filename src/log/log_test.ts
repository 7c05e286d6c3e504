import assert from "node:assert/strict";
import { FileSink } from "./file_sink.ts";
import { closeLog, configureLog, logOf } from "./log.ts";
import { readLogEnd } from "./read_log_end.ts";
import { redact } from "./redact.ts";

Deno.test("a line tells time, level, part, text and fields, and nothing moves the cursor", () => {
  const lines: string[] = [];
  configureLog((line) => lines.push(line));
  try {
    logOf("vm").warn("VM ended", { name: "web\n\x1b[2J", why: new Error("gone") });
    logOf("vm").debug("not shown");
  } finally {
    closeLog();
  }
  logOf("vm").error("after the end");
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /^\d{4}-.+Z warning vm: VM ended \{"name":"web/);
  assert.match(lines[0] ?? "", /"why":"gone"/);
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\x00-\x1f]/.test(lines[0] ?? ""));
});

Deno.test("secrets are left out", () => {
  assert.deepEqual(
    redact({ url: "https://me:pw@mirror.test/x", auth: { Token: "t", n: 1n }, list: [1] }),
    { url: "https://[redacted]@mirror.test/x", auth: { Token: "[redacted]", n: "1" }, list: [1] },
  );
});

Deno.test("the file rotates and stays private; its end can be read", () => {
  const dir = Deno.makeTempDirSync();
  try {
    const path = `${dir}/daemon.log`;
    {
      using sink = new FileSink({ path, maxBytes: 1000 });
      for (let i = 0; i < 100; i++) sink.write(`line ${i} ${"x".repeat(50)}`, "info");
    }
    assert.ok(Deno.statSync(path).size <= 1000);
    assert.ok(Deno.statSync(`${path}.1`).size <= 1000);
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assert.match(readLogEnd(path, 2), /^line 98 x+\nline 99 x+$/);
    assert.ok(readLogEnd(path, 100, 70).startsWith("line 99"));
    assert.equal(readLogEnd(`${dir}/none`, 5), "");
    using again = new FileSink({ path, maxBytes: 1000 });
    again.write("appended", "info");
    assert.match(readLogEnd(path, 1), /appended/);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("a sink that cannot write loses lines but never throws", () => {
  using sink = new FileSink({ path: "/nonexistent/daemon.log" });
  sink.write("lost", "error");
});
