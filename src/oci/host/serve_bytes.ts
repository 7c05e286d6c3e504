import * as v from "valibot";
import { toWireError } from "../../api/codec.ts";
import type { ByteLink } from "../../wire/link.ts";
import { Mux, runMux } from "../../wire/mux.ts";
import type { MuxStream } from "../../wire/mux_stream.ts";
import { type BytesReply, bytesRequest } from "../bytes_messages.ts";
import type { LocalBytes } from "../local_bytes.ts";

/**
 * Serves `files` over an upgraded connection, which this takes over, until it ends; the other end is
 * {@linkcode RemoteBytes}. Never rejects: what cannot be read is told to the other side.
 */
export async function serveBytes(link: ByteLink, files: LocalBytes): Promise<void> {
  const ended = new AbortController();
  const mux = new Mux(link, {
    side: "starter",
    onStream: (stream) => void serve(stream, files, ended.signal),
  });
  await runMux(link, mux);
  ended.abort();
}

async function serve(stream: MuxStream, files: LocalBytes, ended: AbortSignal): Promise<void> {
  const withdrawn = new AbortController();
  const signal = AbortSignal.any([ended, withdrawn.signal]);
  void stream.ended.then(() => withdrawn.abort());
  try {
    const request = v.parse(bytesRequest, stream.request);
    if (request.method === "size") {
      const size = await files.size(request.name, signal) ?? null;
      stream.close({ ok: true, size } satisfies BytesReply);
      return;
    }
    for await (const chunk of files.read(request.name, request, signal)) await stream.write(chunk);
    stream.end(0);
    stream.close({ ok: true, size: null } satisfies BytesReply);
  } catch (error) {
    // A detail might be longer than a frame; errors about files have none.
    const told = { ...toWireError(error), detail: null };
    stream.close({ ok: false, error: told } satisfies BytesReply);
  }
}
