import * as v from "valibot";
import { wireError } from "../api/operation.ts";

/**
 * What the daemon asks the CLI for over an upgraded connection, one stream each: the daemon opens a
 * stream with a request, the CLI sends the bytes of a `read` on channel 0 and ends with a reply. A
 * name is one of a {@linkcode LocalBytes}, never a path.
 */
export const bytesRequest = v.variant("method", [
  v.strictObject({ method: v.literal("size"), name: v.pipe(v.string(), v.maxLength(256)) }),
  v.strictObject({
    method: v.literal("read"),
    name: v.pipe(v.string(), v.maxLength(256)),
    offset: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
    length: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  }),
]);

/** See {@linkcode bytesRequest}. */
export type BytesRequest = v.InferOutput<typeof bytesRequest>;

/** The last message of a stream. `size` is `null` for a file that is not there, and after a `read`. */
export const bytesReply = v.variant("ok", [
  v.strictObject({
    ok: v.literal(true),
    size: v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  }),
  v.strictObject({ ok: v.literal(false), error: wireError }),
]);

/** See {@linkcode bytesReply}. */
export type BytesReply = v.InferOutput<typeof bytesReply>;
