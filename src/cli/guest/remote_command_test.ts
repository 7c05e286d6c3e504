import assert from "node:assert/strict";
import { remoteCommand } from "./remote_command.ts";

async function shell(line: string): Promise<string> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", line] }).output();
  return new TextDecoder().decode(stdout);
}

Deno.test("the remote command lands in the directory, with the environment, whatever is in the words", async () => {
  const line = remoteCommand(
    ["sh", "-c", 'echo "$PWD $A"; echo "$1"', "sh", "it's; $(false)"],
    "/usr",
    {
      A: "x 'y' $z",
    },
  );
  assert.equal(await shell(line), "/usr x 'y' $z\nit's; $(false)\n");
  assert.equal(
    remoteCommand([], "/root/it's", {}),
    `cd '/root/it'\\''s' 2>/dev/null; exec "\${SHELL:-/bin/sh}" -l`,
  );
});
