import { BangerError } from "../model/errors.ts";
import type { ByteReader } from "./byte_reader.ts";

const magic = "!<arch>\n";
const headerBytes = 60;
const maxMembers = 16;

/** One member of an `ar` archive; its content follows in the reader and must be consumed. */
export interface ArMember {
  readonly name: string;
  readonly bytes: number;
}

/**
 * Walks an `ar` archive as Debian packages use it (deb(5): short names, at most a few members).
 *
 * After each member the consumer has read some or all of its content from `reader`; the rest is
 * skipped.
 *
 * @param label how errors name the file
 * @throws BangerError `untrusted` when it is damaged or cut off
 */
export async function* arMembers(reader: ByteReader, label: string): AsyncGenerator<ArMember> {
  const fail = (why: string) =>
    new BangerError("untrusted", `Cannot read package "${label}": ${why}`);
  if (latin1(await reader.upTo(magic.length)) !== magic) throw fail("it is not an ar archive");
  for (let count = 0;; count++) {
    const header = await reader.upTo(headerBytes);
    if (header.length === 0) return;
    if (count >= maxMembers) throw fail(`it has more than ${maxMembers} members`);
    if (header.length < headerBytes) throw fail("it ends within a member's header");
    const text = latin1(header);
    const size = text.slice(48, 58).trimEnd();
    if (text.slice(58) !== "`\n" || !/^[0-9]{1,10}$/.test(size)) {
      throw fail("a member's header is damaged");
    }
    const member = { name: text.slice(0, 16).trimEnd().replace(/\/$/, ""), bytes: Number(size) };
    const start = reader.offset;
    yield member;
    const left = member.bytes - (reader.offset - start);
    if (await reader.skip(left) < left) throw fail(`it ends within its member "${member.name}"`);
    if (member.bytes % 2 === 1) await reader.skip(1);
  }
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
