import assert from "node:assert/strict";
import { sessionsDir } from "../src/wire/messages.ts";
import { guestContext } from "./context.ts";
import { openSession } from "./session.ts";

const id = "0123456789abcdef".repeat(2);

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("sessions are root's alone, and those that nobody came for are forgotten", () =>
  inTempDir(async (dir) => {
    const context = { ...guestContext(), root: dir };
    const exec = { argv: ["true"], cwd: null, env: {}, user: null, stdin: true };
    await openSession(context, id, exec);
    const path = `${dir}${sessionsDir}`;
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o700);
    assert.equal((await Deno.stat(`${path}/${id}`)).mode! & 0o777, 0o600);
    const parts = (await Deno.readTextFile(`${path}/${id}`)).split("\0");
    assert.deepEqual(parts.slice(0, 2), ["0 0 0\n/root", "1"]);
    assert.match(parts[2]!, /\/true$/);
    assert.match(parts[3]!, /^PATH=/);
    await Deno.utime(`${path}/${id}`, 0, 0);
    await openSession(context, "f".repeat(32), exec);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(path), ({ name }) => name), [
      "f".repeat(32),
    ]);
    await assert.rejects(
      openSession(context, id, { ...exec, argv: ["no-such"] }),
      /no program/,
    );
  }));
