import assert from "node:assert/strict";
import { connectAgent } from "../../src/guest/agent_client.ts";
import { startAgent } from "../support/agent_process.ts";

const exec = { cwd: "/", env: {}, user: null, stdin: false };

Deno.test("a real agent process answers over its file descriptors 0 and 1", async () => {
  const { link, child } = startAgent();
  const session = await connectAgent(link, {
    fresh: false,
    nonce: "ab".repeat(16),
    signal: new AbortController().signal,
    timeoutMs: 20_000,
  });
  assert.equal(session.welcome.version, 3);
  const shell = session.exec({ ...exec, argv: ["sh", "-c", "echo out; echo err >&2; exit 7"] });
  const [out, err] = await Promise.all([
    new Response(shell.stdout).text(),
    new Response(shell.stderr).text(),
  ]);
  assert.deepEqual([out, err, await shell.exit], ["out\n", "err\n", { how: "exited", code: 7 }]);

  const total = 32 * 1024 * 1024;
  const cat = session.exec({ ...exec, argv: ["cat"], stdin: true });
  const writer = cat.stdin.getWriter();
  const sending = (async () => {
    for (let sent = 0; sent < total; sent += 1 << 20) await writer.write(new Uint8Array(1 << 20));
    await writer.close();
  })();
  let got = 0;
  for await (const bytes of cat.stdout) got += bytes.length;
  await sending;
  await cat.stderr.cancel();
  assert.equal(got, total);
  assert.deepEqual(await cat.exit, { how: "exited", code: 0 });

  const asleep = session.exec({ ...exec, argv: ["sleep", "100"] });
  const asleepExit = assert.rejects(asleep.exit, { kind: "unavailable" });
  session.close();
  await Promise.all([session.closed, asleepExit]);
  await child.status;
});

Deno.test("unknown words are refused with usage and exit code 2", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "agent/main.ts", "dance"],
  }).output();
  assert.equal(code, 2);
  assert.match(new TextDecoder().decode(stderr), /^usage: banger-agent/);
});
