import { BangerError, type ErrorKind } from "../model/errors.ts";
import { noSpace } from "./disk_space.ts";
import type { ImageRecipe } from "./image_recipe.ts";

interface Cause {
  readonly pattern: RegExp;
  readonly kind: ErrorKind;
  readonly words: string;
  readonly hint: string;
}

const network = "Check the network and the proxy, or set debian_mirror below [catalog]";

/** In this order: a signature error also makes apt say that fetching failed. */
const causes: readonly Cause[] = [
  {
    pattern:
      /NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|is not signed|signatures? (were|was|couldn't|is) /i,
    kind: "untrusted",
    words: "the archive's signature is not valid",
    hint: "Use another mirror: debian_mirror below [catalog] in banger's configuration",
  },
  {
    pattern: /Hash Sum mismatch|unexpected size|Release file .* (is expired|is not valid yet)/i,
    kind: "untrusted",
    words: "what the mirror sent does not match the archive's signed index",
    hint: "Try again later, or use another mirror",
  },
  {
    pattern: /mmdebstrap: (command )?not found/,
    kind: "precondition",
    words: "mmdebstrap is not installed",
    hint: "sudo apt-get install --no-install-recommends mmdebstrap",
  },
  {
    pattern: /mke2fs: (command )?not found/,
    kind: "precondition",
    words: "mke2fs is not installed",
    hint: "sudo apt-get install --no-install-recommends e2fsprogs",
  },
  {
    pattern: /does not have a Release file|404 +Not Found/,
    kind: "unavailable",
    words: "the mirror does not have this suite",
    hint: "Set debian_mirror below [catalog] to a complete Debian mirror",
  },
  {
    pattern: /Could not resolve|Temporary failure resolving|Could not connect|Unable to connect/i,
    kind: "unavailable",
    words: "the mirror cannot be reached",
    hint: network,
  },
  {
    pattern: /Failed to fetch|Connection (failed|timed out)|Error reading from server/i,
    kind: "unavailable",
    words: "the mirror stopped answering",
    hint: network,
  },
];

/** The error for a build that ended with `how`, from what it printed last. */
export function buildFailure(
  recipe: ImageRecipe,
  how: string,
  stderr: string,
  stagingDir: string,
): BangerError {
  if (/No space left on device|Could not allocate block/.test(stderr)) {
    return noSpace(`build image "${recipe.name}"`, stagingDir, recipe.neededBytes, null);
  }
  const detail = stderr.split("\n").slice(-15).join("\n");
  const cause = causes.find(({ pattern }) => pattern.test(stderr));
  const action = `Cannot build image "${recipe.name}"`;
  return cause === undefined
    ? new BangerError("internal", `${action}: it ended with ${how}`, { detail })
    : new BangerError(cause.kind, `${action}: ${cause.words}`, { hint: cause.hint, detail });
}
