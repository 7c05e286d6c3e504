/** What root in a guest cannot reach: the host's own loopback. */
import assert from "node:assert/strict";
import { isBuilt, withCachedBanger } from "../support/banger.ts";
import { skipUnless } from "../support/require.ts";

const runMs = 8 * 60_000;

/** A port of the host that counts who comes. */
class Watched implements Disposable {
  readonly #listener: Deno.TcpListener;
  readonly #accepting: Promise<void>;
  readonly peers: string[] = [];

  constructor(hostname: string) {
    this.#listener = Deno.listen({ hostname, port: 0 });
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.peers.push(connection.remoteAddr.hostname);
      connection.close();
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }

  async ended(): Promise<void> {
    await this.#accepting;
  }
}

const name = "root in a guest reaches nothing of the host's loopback, whatever frames it forges";
Deno.test({
  name,
  ignore: skipUnless(name, isBuilt(), "build/bin/banger is not built"),
  fn: () =>
    withCachedBanger(async (banger) => {
      const loopback = new Watched("127.0.0.1");
      const anywhere = new Watched("0.0.0.0");
      // No address but the loopback's: that forged frames get out where there is no filter, the
      // integration test of passt alone shows.
      const script = await Deno.readTextFile(
        new URL("./testdata/forge_frames.py", import.meta.url),
      );
      const words = [`${loopback.port}`, "-", `${anywhere.port}`];
      try {
        const args = ["vm", "run", "--rm", "--no-workspace", "--", "python3", "-", ...words];
        const { code, stdout, stderr } = await banger.run(args, {
          stdin: script,
          timeoutMs: runMs,
        });
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^sent 4\d\d\nrouted\n$/);
        assert.deepEqual(loopback.peers, []);
        assert.deepEqual(anywhere.peers, []);
      } finally {
        loopback[Symbol.dispose]();
        anywhere[Symbol.dispose]();
        await Promise.all([loopback.ended(), anywhere.ended()]);
      }
    }),
});
