import * as v from "valibot";
import { isDeeperThan } from "../transport/json_depth.ts";
import { imageLimits } from "./limits.ts";
import { pullError, type PullSubject } from "./oci_error.ts";

/**
 * JSON from outside, checked by `schema`. `what` names it in the error, for example `manifest
 * sha256:…`; nothing of its content is quoted.
 *
 * @throws BangerError `untrusted` that names the field and the rule
 */
export function parseJson<T>(
  bytes: Uint8Array,
  schema: v.GenericSchema<unknown, T>,
  subject: PullSubject,
  what: string,
): T {
  const fail = (why: string, cause?: unknown) =>
    pullError(subject, "untrusted", `${what} ${why}`, {
      code: "BAD_MANIFEST",
      ...(cause === undefined ? {} : { cause }),
    });
  if (isDeeperThan(imageLimits.jsonDepth, bytes)) {
    throw fail(`nests deeper than ${imageLimits.jsonDepth} levels`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw fail("is no JSON", cause);
  }
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  const path = v.getDotPath(issue);
  const field = path === null ? "it" : `"${path}"`;
  const received = String(issue.received).slice(0, 60);
  throw fail(
    `breaks a rule: ${field} must be ${issue.expected ?? "of another form"}, not ${received}`,
  );
}
