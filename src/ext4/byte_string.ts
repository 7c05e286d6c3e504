/**
 * Text in which every character is one byte (0 to 255). File names, link targets and attribute names
 * of a Linux file system are bytes of no known encoding: kept like this they survive unchanged, and
 * still serve as keys of a map.
 */
export type ByteString = string;

const chunkBytes = 8192;

/** The bytes `start` to `end` as a {@linkcode ByteString}. */
export function byteString(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): ByteString {
  if (end - start <= chunkBytes) {
    return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
  }
  let text = "";
  for (let at = start; at < end; at += chunkBytes) {
    text += byteString(bytes, at, Math.min(end, at + chunkBytes));
  }
  return text;
}

/** Writes the bytes of `text` into `target` at `offset`. */
export function putBytes(target: Uint8Array, offset: number, text: ByteString): void {
  for (let at = 0; at < text.length; at++) target[offset + at] = text.charCodeAt(at);
}

/** The bytes of `text`: the inverse of {@linkcode byteString}. */
export function bytesOf(text: ByteString): Uint8Array {
  const bytes = new Uint8Array(text.length);
  putBytes(bytes, 0, text);
  return bytes;
}
