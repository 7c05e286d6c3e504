/** One challenge of a `WWW-Authenticate` header. */
export interface AuthChallenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly params: Readonly<Record<string, string>>;
}

const maxHeaderLength = 8 * 1024;
const maxChallenges = 8;
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const schemePattern = new RegExp(`[\\s,]*(${token})(?=[\\s,]|$)`, "y");
const paramPattern = new RegExp(
  `[\\s,]*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))(?=[\\s,]|$)`,
  "y",
);
/** `token68`, which some schemes have instead of parameters. */
const token68Pattern = /\s+[A-Za-z0-9._~+\/-]+=*(?=\s*(?:,|$))/y;

/**
 * The challenges of a `WWW-Authenticate` header (RFC 9110, section 11.6.1), several headers joined
 * by commas. What comes behind something unreadable is left out.
 */
export function parseChallenges(header: string): AuthChallenge[] {
  const found: AuthChallenge[] = [];
  if (header.length > maxHeaderLength) return found;
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  while (found.length < maxChallenges) {
    const scheme = next(schemePattern)?.[1];
    if (scheme === undefined) return found;
    const params: Record<string, string> = Object.create(null);
    let param = next(paramPattern);
    if (param === null) next(token68Pattern);
    for (; param !== null; param = next(paramPattern)) {
      const [, name = "", quoted, plain] = param;
      params[name.toLowerCase()] = plain ?? (quoted ?? "").replaceAll(/\\(.)/gs, "$1");
    }
    found.push({ scheme: scheme.toLowerCase(), params });
  }
  return found;
}
