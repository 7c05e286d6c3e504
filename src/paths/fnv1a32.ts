/**
 * FNV-1a over the UTF-8 bytes of `text`, as 8 hexadecimal digits. Tells an owner's own directories
 * apart; no protection against made-up collisions.
 */
export function fnv1a32(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash.toString(16).padStart(8, "0");
}
