/**
 * Why a header is not the one that must stand there; for the message of a refusal only. What decides
 * is that every byte is as it must be.
 *
 * @param found one block, or less at the end of the archive
 * @param name the member that must follow; `null` at the end of the archive
 */
export function headerFault(
  found: Uint8Array,
  name: string | null,
): { readonly member: string | null; readonly why: string } {
  const expected = name === null ? "the end of the archive" : `"${name}"`;
  if (found.length < 512) return { member: name, why: "the archive ends before it" };
  if (found.every((byte) => byte === 0)) {
    return { member: name, why: "the archive's end mark stands in its place" };
  }
  const type = String.fromCharCode(found[156] ?? 0);
  const named = textOf(found, 0, 100);
  const prefix = textOf(found, 345, 500);
  const member = prefix === "" ? named : `${prefix}/${named}`;
  const plain = member.replace(/^(GNUSparseFile\.0|PaxHeaders)\//, "");
  if (/^\/|(^|\/)\.\.(\/|$)/.test(plain)) {
    return { member, why: `its name leaves the directory; expected is ${expected}` };
  }
  const kind = entryKinds[type];
  if (kind !== undefined) return { member, why: `it is ${kind}, not a regular file` };
  if (plain !== name) return { member, why: `it is not expected here; expected is ${expected}` };
  if (textOf(found, 157, 257) !== "") return { member, why: "it is a link" };
  return { member, why: "its header is not in canonical form, or does not fit the metadata" };
}

const entryKinds: Readonly<Record<string, string>> = {
  "1": "a hard link",
  "2": "a symbolic link",
  "3": "a character device",
  "4": "a block device",
  "5": "a directory",
  "6": "a FIFO",
};

function textOf(block: Uint8Array, start: number, end: number): string {
  const field = block.subarray(start, end);
  const nul = field.indexOf(0);
  return new TextDecoder("latin1").decode(nul < 0 ? field : field.subarray(0, nul));
}
