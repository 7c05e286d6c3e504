import { BangerError, type BangerErrorOptions, type ErrorKind } from "../model/errors.ts";

/** What an error of this folder is about. */
export interface PullSubject {
  /** The image, with registry and repository. */
  readonly label: string;
  /** The next step; the error's own hint goes before it. */
  readonly hint: string;
}

/** `Cannot pull "IMAGE": STATE`, with the image's hint unless `options` has a better one. */
export function pullError(
  subject: PullSubject,
  kind: ErrorKind,
  state: string,
  options: BangerErrorOptions = {},
): BangerError {
  return new BangerError(kind, `Cannot pull "${subject.label}": ${state}`, {
    hint: subject.hint,
    ...options,
  });
}

/** A text from outside in a message: quoted, without control characters, cut. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
