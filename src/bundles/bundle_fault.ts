import { BangerError } from "../model/errors.ts";

/** Code of every refusal of what is in a bundle. */
export const bundleInvalidCode = "BUNDLE_INVALID";

/** The refusal of a bundle for what one of its members is, or (`null`) the archive as a whole. */
export function bundleFault(
  label: string,
  member: string | null,
  why: string,
  options: { readonly code?: string; readonly detail?: string; readonly cause?: unknown } = {},
): BangerError {
  const of = member === null ? "" : `member ${JSON.stringify(member.slice(0, 120))}: `;
  return new BangerError(
    "untrusted",
    `Cannot use bundle "${label}": ${of}${why}`,
    {
      code: options.code ?? bundleInvalidCode,
      ...(options.detail === undefined ? {} : { detail: options.detail }),
      ...(options.cause === undefined ? {} : { cause: options.cause }),
    },
  );
}
