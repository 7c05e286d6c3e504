import assert from "node:assert/strict";
import { selfCommand } from "./self_command.ts";

Deno.test("run from source, the same banger is Deno with this main.ts", async () => {
  const { program, args, env } = selfCommand();
  assert.equal(program, Deno.execPath());
  const main = args.at(-1) ?? "";
  assert.ok((await Deno.stat(main)).isFile, main);
  assert.match(await Deno.realPath(main), /\/main\.ts$/);
  assert.ok(args.includes("--allow-all"));
  assert.equal(env["DENO_NO_UPDATE_CHECK"], "1");
  assert.equal(env["DENO_TLS_CA_STORE"], "system,mozilla");
});
