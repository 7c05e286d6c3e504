/** A byte channel of an exec that can move to a raw connection. */
export type RawName = "stdin" | "stdout" | "stderr";

/**
 * Control messages of an exec stream by which one of its channels moves to a raw connection, whose
 * bytes native programs of the guest kit carry. In this order:
 *
 * 1. guest → host `raw_offer`. The guest sends nothing on an output channel until it is answered.
 * 2. The host connects, writes the ticket, and reads {@linkcode rawReady}; for an output it then
 *    writes {@linkcode rawGo}. host → guest `raw_answer`.
 * 3. Output: the guest ends the stream's channel; what follows comes over the connection. stdin: the
 *    host ends the channel where it likes, waits for `raw_drained`, and goes on over the connection
 *    with {@linkcode rawGo} and the rest.
 * 4. An output's last message is `raw_end`, before the reply. The last byte of its connection is a
 *    mark and no output: {@linkcode rawWhole} when it came to its end, any other when it was given up. So
 *    a connection that broke is noticed.
 *
 * A side that does not know them ignores them: the channel then stays where it is.
 */
export type RawControl =
  | { readonly control: "raw_offer"; readonly name: RawName; readonly ticket: string }
  | { readonly control: "raw_answer"; readonly name: RawName; readonly taken: boolean }
  /** All bytes of stdin that came over the stream are in the program's pipe. */
  | { readonly control: "raw_drained" }
  /** Nothing more comes; `givenUp` when the guest stopped before the output came to its end. */
  | { readonly control: "raw_end"; readonly name: RawName; readonly givenUp: boolean };

/** Length of a ticket: hexadecimal digits, good for one connection. */
export const rawTicketChars = 64;

/** First byte from the guest: the ticket was good and its pipe is open. */
export const rawReady = 0x72;

/** First byte after the ticket: the guest starts to move bytes. */
export const rawGo = 0x67;

/** Last byte of an output. */
export const rawWhole = 0x77;

/** Reads a control message of these; `null` for any other and for a wrong shape. */
export function rawControl(value: unknown): RawControl | null {
  if (typeof value !== "object" || value === null) return null;
  const { control, name, ticket, taken, givenUp } = value as Record<string, unknown>;
  if (control === "raw_drained") return { control };
  if (!isName(name)) return null;
  switch (control) {
    case "raw_offer":
      return typeof ticket === "string" && /^[0-9a-f]{64}$/.test(ticket)
        ? { control, name, ticket }
        : null;
    case "raw_answer":
      return { control, name, taken: taken === true };
    case "raw_end":
      return { control, name, givenUp: givenUp === true };
    default:
      return null;
  }
}

function isName(value: unknown): value is RawName {
  return value === "stdin" || value === "stdout" || value === "stderr";
}
