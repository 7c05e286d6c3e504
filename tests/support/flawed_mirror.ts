import { findMirror } from "../../src/debian/find_mirror.ts";

/** What is done to a file on its way: answers the bytes that go on. */
export type Flaw = (
  path: string,
  content: Uint8Array<ArrayBuffer>,
) => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;

/** The host's own Debian mirror, passed on by a server on loopback that damages what it passes on. */
export interface FlawedMirror extends AsyncDisposable {
  readonly url: string;
}

/** Serves the mirror with `flaw` until it is disposed of. */
export async function flawedMirror(flaw: Flaw): Promise<FlawedMirror> {
  const mirror = await findMirror({ suite: "bookworm" });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const path = new URL(request.url).pathname.replace(/^\/debian\//, "");
      const answer = await fetch(`${mirror}/${path}`);
      const content = await answer.bytes();
      if (!answer.ok) return new Response(content, { status: answer.status });
      return new Response(await flaw(path, content));
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/debian`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
