/** Clients of ports on this host's loopback, for tests. */
import assert from "node:assert/strict";

/** A port that was free a moment ago, and that the kernel gives to no outgoing connection. */
export function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 10_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      assert.ok(error instanceof Deno.errors.AddrInUse, String(error));
    }
  }
}

/** Whether somebody listens there. */
export async function isOpen(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    // Somebody took it, and had reset it before this was looked at.
    if (error instanceof Deno.errors.ConnectionReset) return true;
    assert.ok(error instanceof Deno.errors.ConnectionRefused, String(error));
    return false;
  }
}

/** Sends `bytes` and the end, and answers all that comes until the other end. @throws when it is reset */
export async function exchange(port: number, bytes: Uint8Array): Promise<Uint8Array> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const sending = (async () => {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    await conn.closeWrite();
  })();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const buffer = new Uint8Array(256 * 1024);
  const reading = (async () => {
    for (;;) {
      const count = await conn.read(buffer);
      if (count === null) break;
      parts.push(buffer.slice(0, count));
    }
  })();
  await Promise.all([sending, reading]);
  return await new Blob(parts).bytes();
}

/** As {@linkcode exchange}, with text. */
export async function say(port: number, text: string): Promise<string> {
  return new TextDecoder().decode(await exchange(port, new TextEncoder().encode(text)));
}

/** Bytes no two KiB of which are alike, other ones for each `seed`. */
export function someBytes(count: number, seed: number): Uint8Array {
  const words = new Uint32Array(count >> 2);
  for (let at = 0; at < words.length; at++) words[at] = (seed << 24) + at;
  return new Uint8Array(words.buffer);
}
