import { BangerError } from "../model/errors.ts";
import type { ExpectedContent } from "./download.ts";
import { compareVersions } from "./version.ts";

/** One package as a `Packages` file describes it. */
export interface PackageRecord extends ExpectedContent {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Path below the mirror's base. */
  readonly filename: string;
  /** The `Depends` field as it stands. */
  readonly depends: string;
}

const maxStanzaChars = 1024 * 1024;

/**
 * Yields the packages of a `Packages` file whose name `wanted` accepts (deb822(5)).
 *
 * @throws BangerError `untrusted` when a wanted stanza lacks a field or one is unsafe
 */
export async function* packagesIn(
  chunks: AsyncIterable<Uint8Array>,
  wanted: (name: string) => boolean,
): AsyncGenerator<PackageRecord> {
  for await (const stanza of stanzas(chunks)) {
    const name = /^Package: *(.*)$/m.exec(stanza)?.[1]?.trim();
    if (name !== undefined && wanted(name)) yield packageOf(name, stanza);
  }
}

/** The newest of `records`; `undefined` when there is none. */
export function newestPackage(records: readonly PackageRecord[]): PackageRecord | undefined {
  return records.reduce<PackageRecord | undefined>(
    (best, record) =>
      best === undefined || compareVersions(record.version, best.version) > 0 ? record : best,
    undefined,
  );
}

/** Names in a `Depends` field, the first alternative of each. */
export function dependencyNames(depends: string): string[] {
  return depends.split(",").flatMap((group) => {
    const name = /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(group)?.[1];
    return name === undefined ? [] : [name];
  });
}

function packageOf(name: string, stanza: string): PackageRecord {
  const field = (key: string) => new RegExp(`^${key}: *(.*)$`, "m").exec(stanza)?.[1]?.trim() ?? "";
  const record = {
    name,
    version: field("Version"),
    architecture: field("Architecture"),
    filename: field("Filename"),
    depends: field("Depends"),
    bytes: Number(field("Size")),
    sha256: field("SHA256"),
  };
  const rules: [string, boolean][] = [
    ["Package", /^[a-z0-9][a-z0-9+.-]{1,200}$/.test(name)],
    ["Version", /^[0-9A-Za-z.+:~-]{1,200}$/.test(record.version)],
    ["Filename", /^pool\/[A-Za-z0-9+.:~_/-]{1,500}\.deb$/.test(record.filename)],
    ["Filename", !record.filename.split("/").includes("..")],
    ["Size", /^[0-9]{1,12}$/.test(field("Size"))],
    ["SHA256", /^[0-9a-f]{64}$/.test(record.sha256)],
  ];
  const broken = rules.find(([, holds]) => !holds);
  if (broken !== undefined) {
    const shown = JSON.stringify(name.slice(0, 60));
    throw new BangerError(
      "untrusted",
      `Cannot use "Packages": the field ${broken[0]} of package ${shown} is unusable`,
    );
  }
  return record;
}

async function* stanzas(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end; (end = rest.indexOf("\n\n", start)) >= 0; start = end + 2) {
      yield rest.slice(start, end);
    }
    rest = rest.slice(start);
    if (rest.length > maxStanzaChars) {
      throw new BangerError("untrusted", 'Cannot use "Packages": a stanza is too long');
    }
  }
  if (rest.trim() !== "") yield rest;
}
