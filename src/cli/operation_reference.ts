import { BangerError } from "../model/errors.ts";
import type { ArgumentSpec } from "./command.ts";
import type { DaemonPort } from "./context.ts";

/** The argument that names an operation. */
export const operationArgument = {
  count: "one",
  placeholder: "OPERATION",
  summary: "Id of an operation, or the beginning of it",
} as const satisfies ArgumentSpec;

/** Checks that `text` can be the beginning of an operation's id. @throws BangerError `invalid` */
export function operationReference(text: string): string {
  if (/^[0-9a-f]{4,16}$/.test(text)) return text;
  throw new BangerError(
    "invalid",
    `Cannot find operation ${JSON.stringify(text.slice(0, 40))}: no operation has such an id`,
    { hint: "banger operation list" },
  );
}

/**
 * The id of the operation that begins so.
 *
 * @throws BangerError `not_found`, `invalid` when several do
 */
export async function operationId(client: DaemonPort, reference: string): Promise<string> {
  if (reference.length === 16) return reference;
  const { operations } = await client.call("operation.list", {});
  const [first, second] = operations.filter(({ id }) => id.startsWith(reference));
  if (first === undefined) {
    throw new BangerError("not_found", `Cannot find operation "${reference}": there is none`, {
      hint: "banger operation list; finished ones are forgotten after a day",
    });
  }
  if (second === undefined) return first.id;
  throw new BangerError(
    "invalid",
    `Cannot find operation "${reference}": several ids start with it`,
    {
      hint: "Give more digits",
    },
  );
}
