/**
 * Whether JSON in `bytes` nests arrays and objects deeper than `limit`. Looks at nothing else: what
 * is not JSON the parser refuses.
 */
export function isDeeperThan(limit: number, bytes: Uint8Array): boolean {
  // Each of them takes two bytes at least, or it is not JSON.
  if (bytes.length < 2 * (limit + 1)) return false;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (quoted) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) quoted = false;
    } else if (byte === 0x22) quoted = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > limit) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}
