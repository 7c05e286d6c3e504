/** A directory that is served on loopback. */
export interface FileServer extends AsyncDisposable {
  /** Address of the directory, with a slash at its end. */
  readonly url: string;
  /** Names that were asked for, in order. */
  readonly requests: readonly string[];
}

/** Serves the files of `dir`, with ranges. */
export function serveFiles(dir: string): FileServer {
  const requests: string[] = [];
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  const server = Deno.serve(options, async (request) => {
    const name = new URL(request.url).pathname.slice(1);
    requests.push(name);
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return new Response("", { status: 400 });
    let content: Uint8Array<ArrayBuffer>;
    try {
      content = await Deno.readFile(`${dir}/${name}`);
    } catch {
      return new Response("not here", { status: 404 });
    }
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
    if (start === 0) return new Response(content);
    if (start >= content.length) return new Response("", { status: 416 });
    const range = `bytes ${start}-${content.length - 1}/${content.length}`;
    return new Response(content.slice(start), { status: 206, headers: { "content-range": range } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
