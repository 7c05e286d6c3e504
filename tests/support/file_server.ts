/** A directory that is served on loopback. */
export interface FileServer extends AsyncDisposable {
  /** Address of the directory, with a slash at its end. */
  readonly url: string;
  /** Names that were asked for, in order. */
  readonly requests: readonly string[];
}

/** Called before each piece of a file goes out, with the bytes that have: the server waits for it. */
export type Pace = (name: string, sentBytes: number) => Promise<void>;

const pieceBytes = 64 * 1024;

/** Serves the files of `dir`, with ranges; with `pace`, as slowly as that says. */
export function serveFiles(dir: string, pace?: Pace): FileServer {
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
    if (start === 0) return new Response(pace === undefined ? content : paced(name, content, pace));
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

function paced(name: string, content: Uint8Array<ArrayBuffer>, pace: Pace): ReadableStream {
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      await pace(name, sent);
      if (sent >= content.length) return controller.close();
      controller.enqueue(content.slice(sent, sent + pieceBytes));
      sent += pieceBytes;
    },
  });
}
