import { LinkError } from "./link.ts";
import { maxControlBytes } from "./messages.ts";

/** Deepest nesting of a JSON message. */
export const maxJsonDepth = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * `value` as the payload of a frame.
 *
 * @throws LinkError `limit` when it is longer than a control frame may be
 */
export function encodeJson(value: unknown): Uint8Array {
  const bytes = encoder.encode(JSON.stringify(value));
  if (bytes.length > maxControlBytes) {
    throw new LinkError("limit", `message of ${bytes.length} bytes is too long`);
  }
  return bytes;
}

/**
 * The JSON value in a frame's payload; its shape is still to be checked.
 *
 * @throws LinkError `protocol` when it is not UTF-8, not JSON, or nested deeper than 32
 */
export function decodeJson(payload: Uint8Array): unknown {
  checkDepth(payload);
  try {
    return JSON.parse(decoder.decode(payload));
  } catch {
    throw new LinkError("protocol", "message is not JSON");
  }
}

function checkDepth(payload: Uint8Array): void {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < payload.length; at++) {
    const byte = payload[at];
    if (quoted) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) quoted = false;
    } else if (byte === 0x22) quoted = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > maxJsonDepth) {
        throw new LinkError("protocol", `message is nested deeper than ${maxJsonDepth}`);
      }
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
}
