import { BangerError } from "../../model/errors.ts";

/** One line that QEMU sends (QEMU docs/interop/qmp-spec, section 2). */
export type QmpMessage =
  | { readonly type: "greeting" }
  | { readonly type: "return"; readonly id: number; readonly value: unknown }
  | { readonly type: "error"; readonly id: number | null; readonly description: string }
  | {
    readonly type: "event";
    readonly name: string;
    readonly data: Readonly<Record<string, unknown>>;
  };

/**
 * Parses a line of QMP.
 * @throws BangerError `internal` when it is not one; the message shows its beginning
 */
export function parseQmpMessage(line: string): QmpMessage {
  const message = parseRecord(line);
  if (message !== undefined) {
    const { id } = message;
    if (isRecord(message.QMP)) return { type: "greeting" };
    if ("return" in message && typeof id === "number") {
      return { type: "return", id, value: message.return };
    }
    if (isRecord(message.error)) {
      const description = typeof message.error.desc === "string" ? message.error.desc : "refused";
      return { type: "error", id: typeof id === "number" ? id : null, description };
    }
    if (typeof message.event === "string") {
      return {
        type: "event",
        name: message.event,
        data: isRecord(message.data) ? message.data : {},
      };
    }
  }
  const shown = JSON.stringify(line.slice(0, 80));
  throw new BangerError("internal", `Cannot use QMP: QEMU sent ${shown}`);
}

/** Whether `value` is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
