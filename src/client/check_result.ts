import * as v from "valibot";
import { type MethodName, methods, type ResultOf } from "../api/methods.ts";
import { BangerError } from "../model/errors.ts";

/**
 * Checks what the daemon answered to `method` against the contract. Loaded only towards a daemon of
 * another build: schemas and their library take longer to load than most commands to run.
 *
 * @throws BangerError `internal` that names the field and the rule
 */
export function checkResult<M extends MethodName>(method: M, result: unknown): ResultOf<M> {
  const checked = v.safeParse(methods[method].result, result, { abortEarly: true });
  if (checked.success) return checked.output as ResultOf<M>;
  const where = v.getDotPath(checked.issues[0]) ?? "the answer";
  throw new BangerError(
    "internal",
    `Cannot understand the daemon: ${method}: ${where}: ${checked.issues[0].message}`,
    { hint: "Another version of banger may have started it: banger daemon stop" },
  );
}
