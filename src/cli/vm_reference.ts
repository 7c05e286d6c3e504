import { BangerError } from "../model/errors.ts";
import type { ArgumentSpec } from "./command.ts";

/** The argument that names a VM. */
export const vmArgument = {
  count: "one",
  placeholder: "VM",
  summary: "Name or id of a VM, or the beginning of its id",
} as const satisfies ArgumentSpec;

/**
 * Checks that `text` can name a VM, before the daemon is asked.
 *
 * @throws BangerError `invalid`
 */
export function vmReference(text: string): string {
  if (/^[a-z0-9-]{1,63}$/.test(text) && !text.startsWith("-")) return text;
  const shown = text.length > 63 ? `${text.slice(0, 20)}…` : text;
  throw new BangerError(
    "invalid",
    `Cannot find VM ${JSON.stringify(shown)}: no VM has such a name`,
    {
      hint: "banger vm list",
    },
  );
}
