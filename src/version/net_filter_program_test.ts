import assert from "node:assert/strict";
import { netFilterProgram } from "./net_filter_program.ts";

Deno.test("the net filter's only permissions are its two sockets, one of them under two names", () => {
  const { programPath, stdinPath, argsFor } = netFilterProgram();
  assert.equal(programPath, Deno.execPath());
  assert.match(stdinPath ?? "", /\/build\/kit\/net_filter\.js$/);
  const args = argsFor(["/run/x/f", "/run/x/n", "02:00:00:00:00:01"]);
  assert.deepEqual(args.filter((word) => word.startsWith("--allow")), [
    "--allow-read=/run/x/f,/run/x/n,/run/x/f~",
    "--allow-write=/run/x/f,/run/x/n,/run/x/f~",
    "--allow-net=unix:/run/x/f,unix:/run/x/n,unix:/run/x/f~",
  ]);
  assert.ok(args.includes("--no-prompt"));
  assert.ok(args.includes("--ext=js"), "a start takes 150 ms longer");
  const code = args.indexOf("-");
  assert.deepEqual(args.slice(code + 1), [
    ...["net-filter", "run"],
    ...["/run/x/f", "/run/x/n", "02:00:00:00:00:01"],
  ]);
});
