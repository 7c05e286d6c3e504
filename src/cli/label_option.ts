import { parseLabel } from "../model/labels.ts";
import type { ListSpec } from "./command.ts";

/** A label that is looked for; `null`: with any value. */
export type LabelWanted = readonly [key: string, value: string | null];

/** `--label KEY=VALUE`, any number of times. */
export const labelOption: ListSpec<readonly [string, string]> = {
  kind: "list",
  short: "l",
  placeholder: "KEY[=VALUE]",
  summary: "Mark it with a label; may be given again",
  parse: parseLabel,
};

/** `--label KEY` or `--label KEY=VALUE` of commands that look for VMs. */
export const labelFilter: ListSpec<LabelWanted> = {
  kind: "list",
  short: "l",
  placeholder: "KEY[=VALUE]",
  summary: "Those with this label; may be given again, then all must be there",
  parse: (text) => {
    const [key, value] = parseLabel(text);
    return [key, text.includes("=") ? value : null];
  },
};
