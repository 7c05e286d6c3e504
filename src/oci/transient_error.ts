/** A failure that another try may mend. Never leaves `src/oci`. */
export class TransientError extends Error {
  override readonly name = "TransientError";
  /** The server asked to wait for this long. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/**
 * The words of a failed fetch with what caused it, in one line. URLs are cut to their origin: those
 * that registries redirect to carry signatures.
 */
export function networkReason(error: unknown): string {
  const words: string[] = [];
  let at: unknown = error;
  for (let depth = 0; depth < 4 && at instanceof Error; depth++, at = at.cause) {
    if (!words.some((known) => known.includes(at instanceof Error ? at.message : ""))) {
      words.push(at.message);
    }
  }
  return words.join(": ").replaceAll(/\b(https?:\/\/[^\/\s)"']+)[^\s)"']*/g, "$1").slice(0, 300);
}
