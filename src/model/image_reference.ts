import { type Digest, isDigest } from "./digest.ts";
import { BangerError } from "./errors.ts";

/** The name of an image in a registry, with every default filled in. */
export interface ImageReference {
  /** Registry as the name says it: host, or `host:port`; IPv6 in brackets. */
  readonly domain: string;
  /** Repository in there, for example `library/alpine`. */
  readonly path: string;
  /** `null` only when there is a digest. */
  readonly tag: string | null;
  /** Wins over the tag, which then only tells a person what it was. */
  readonly digest: Digest | null;
}

/** The domain of names that have none, by the grammar of image names that Docker defined. */
export const defaultDomain = "docker.io";

/** Old name of {@linkcode defaultDomain}. */
const legacyDomain = `index.${defaultDomain}`;

/** Longest repository with its domain, by the same grammar. */
const maxNameLength = 255;
const maxTextLength = 1024;

const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domainPattern = new RegExp(
  `^(?:${label}(?:\\.${label})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]{1,5})?$`,
);
const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Reads an image name as Docker does: `alpine`, `library/alpine:3.20`, `host:port/a/b@sha256:…`.
 * A name without a tag and a digest gets the tag `latest`.
 *
 * @throws BangerError `invalid` that tells the rule
 */
export function parseImageReference(text: string): ImageReference {
  const problem = roughProblem(text);
  if (problem !== undefined) throw badReference(text, problem);
  const at = text.indexOf("@");
  const digest = at < 0 ? null : text.slice(at + 1);
  if (digest !== null && !isDigest(digest)) {
    throw badReference(
      text,
      'what is behind the "@" is no digest (sha256: and 64 lower-case hexadecimal digits)',
    );
  }
  const named = at < 0 ? text : text.slice(0, at);
  // A colon in front of the last slash is a port's.
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? (digest === null ? "latest" : null) : named.slice(colon + 1);
  if (tag !== null && !tagPattern.test(tag)) {
    throw badReference(
      text,
      "its tag must be 1 to 128 letters, digits, underscores, dots and hyphens, and starts with none of the last two",
    );
  }
  const { domain, path } = splitDomain(name);
  const why = domainProblem(domain) ?? pathProblem(path, domain);
  if (why !== undefined) throw badReference(text, why);
  return { domain, path, tag, digest };
}

/** The reference in full, which {@linkcode parseImageReference} reads back. */
export function imageReferenceText({ domain, path, tag, digest }: ImageReference): string {
  return `${domain}/${path}${tag === null ? "" : `:${tag}`}${digest === null ? "" : `@${digest}`}`;
}

function roughProblem(text: string): string | undefined {
  if (text === "") return "it is empty";
  if (text.length > maxTextLength) return `it has over ${maxTextLength} characters`;
  const scheme = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\//.exec(text)?.[0];
  if (scheme !== undefined) return `leave out the "${scheme}"`;
  if (/^[0-9a-f]{64}$/.test(text)) {
    return "an image is named by REPOSITORY@sha256:… , not by its id";
  }
  return undefined;
}

/** The first part is a domain when it has a dot, a port or an upper-case letter, or is `localhost`. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = /[.:A-Z[]/.test(first) || first === "localhost";
  const domain = isDomain && first !== legacyDomain ? first : defaultDomain;
  const path = isDomain ? name.slice(slash + 1) : name;
  return {
    domain,
    path: domain === defaultDomain && !path.includes("/") ? `library/${path}` : path,
  };
}

function domainProblem(domain: string): string | undefined {
  const shown = JSON.stringify(domain.slice(0, 80));
  if (!domainPattern.test(domain) || !URL.canParse(`https://${domain}/`)) {
    return `${shown} is no registry's host name`;
  }
  return undefined;
}

function pathProblem(path: string, domain: string): string | undefined {
  if (path === "" || path === "library/") return "it names no repository";
  if (/[A-Z]/.test(path)) return "the repository must be in lower case";
  if (!pathPattern.test(path)) {
    return "a repository is made of lower-case letters and digits, with single dots, underscores or hyphens between them";
  }
  return domain.length + 1 + path.length > maxNameLength
    ? `registry and repository have over ${maxNameLength} characters`
    : undefined;
}

function badReference(text: string, why: string): BangerError {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  return new BangerError("invalid", `Cannot use image reference ${JSON.stringify(shown)}: ${why}`, {
    hint: "Write it like alpine, alpine:3.20 or localhost:5000/team/app@sha256:…",
    code: "BAD_REFERENCE",
  });
}
