/** One archive that the host's apt uses: a URI with one suite. */
export interface AptSource {
  /** Without a slash at its end. */
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Keyring file of a `Signed-By`, where one is named. */
  readonly signedBy: string | null;
}

/**
 * Reads a one-line `.list` file (sources.list(5)). Lines that are damaged are left out, as they
 * only mean that this is not the place to learn the mirror from.
 */
export function parseListFile(text: string): AptSource[] {
  return text.split("\n").flatMap((line): AptSource[] => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)/.exec(line);
    if (match?.[2] === undefined || match[3] === undefined) return [];
    const signedBy = /(?:^|\s)signed-by=(\/\S+)/i.exec(match[1] ?? "")?.[1] ?? null;
    const components = (match[4] ?? "").split(/\s+/).filter((word) => word !== "");
    return sourceOf(match[2], match[3], components, signedBy);
  });
}

/** Reads a deb822 `.sources` file (sources.list(5)); disabled and damaged stanzas are left out. */
export function parseSourcesFile(text: string): AptSource[] {
  return text.split(/\n[ \t]*\n/).flatMap((stanza): AptSource[] => {
    const fields = stanzaFields(stanza);
    const words = (name: string) => (fields.get(name) ?? "").split(/\s+/).filter((w) => w !== "");
    if (/^(no|false|0|off)$/i.test(fields.get("enabled")?.trim() ?? "")) return [];
    if (!words("types").includes("deb")) return [];
    const keyring = fields.get("signed-by")?.trim() ?? "";
    const signedBy = /^\/\S+$/.test(keyring) ? keyring : null;
    return words("uris").flatMap((uri) =>
      words("suites").flatMap((suite) => sourceOf(uri, suite, words("components"), signedBy))
    );
  });
}

/** Where the host's apt fetches Debian's `suite` itself from; `undefined` when it does not. */
export function debianMirrorOf(sources: readonly AptSource[], suite: string): string | undefined {
  return sources.find((source) =>
    source.suite === suite && source.components.includes("main") &&
    /\/debian$/.test(new URL(source.uri).pathname)
  )?.uri;
}

/** An apt transport that banger can use too, as a source; anything else gives nothing. */
function sourceOf(
  uri: string,
  suite: string,
  components: readonly string[],
  signedBy: string | null,
): AptSource[] {
  let parsed: URL;
  try {
    parsed = new URL(uri);
  } catch {
    return [];
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") return [];
  return [{ uri: uri.replace(/\/+$/, ""), suite, components, signedBy }];
}

/** Fields of one stanza by lower-case name; comments are dropped, continuation lines joined. */
function stanzaFields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let current: string | undefined;
  for (const line of stanza.split("\n")) {
    if (line.startsWith("#")) continue;
    const match = /^([A-Za-z][A-Za-z0-9-]*):(.*)$/.exec(line);
    if (match?.[1] !== undefined) {
      current = match[1].toLowerCase();
      fields.set(current, match[2] ?? "");
    } else if (current !== undefined && /^[ \t]/.test(line)) {
      fields.set(current, `${fields.get(current)} ${line.trim()}`);
    }
  }
  return fields;
}
