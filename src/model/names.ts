import { BangerError } from "./errors.ts";

/** Longest VM, image or kernel name, in characters: a DNS label, since a VM's name becomes one. */
export const maxNameLength = 63;

const vmNamePattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const artefactNamePattern = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/;

/** What a name names; decides the pattern and the words of the refusal. */
export type NameKind = "VM" | "image" | "kernel";

/**
 * Checks that `name` may name a thing of `kind`: VM names are DNS labels (RFC 1123), image and
 * kernel names may also hold `.` and `_`.
 *
 * @throws BangerError `invalid`
 */
export function checkName(kind: NameKind, name: string): string {
  const problem = nameProblem(kind, name);
  if (problem === undefined) return name;
  const shown = name.length > maxNameLength ? `${name.slice(0, 20)}…` : name;
  throw new BangerError("invalid", `Cannot use ${kind} name ${JSON.stringify(shown)}: ${problem}`, {
    hint: kind === "VM"
      ? "Use 1 to 63 lower-case letters, digits and hyphens, such as web-1"
      : "Use 1 to 63 lower-case letters, digits, dots, underscores and hyphens",
  });
}

/** Why `name` may not name a thing of `kind`; `undefined` when it may. */
export function nameProblem(kind: NameKind, name: string): string | undefined {
  if (name === "") return "it is empty";
  if (name.length > maxNameLength) {
    return `it has ${name.length} characters, at most ${maxNameLength} are allowed`;
  }
  if (name.startsWith("-")) return "it starts with a hyphen";
  const pattern = kind === "VM" ? vmNamePattern : artefactNamePattern;
  return pattern.test(name) ? undefined : "it has characters that are not allowed";
}
