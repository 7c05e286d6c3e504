import type { OperationView } from "../api/operation.ts";
import { BangerError } from "../model/errors.ts";
import type { DaemonPort } from "./context.ts";
import type { StageEvent } from "../model/stages.ts";

/**
 * Follows an operation until it is final and hands its events to `onEvent`. When `signal` aborts, the operation is cancelled and this
 * still waits until it is unwound.
 *
 * @throws BangerError the operation's own failure; `cancelled`; `unavailable` when the daemon goes away
 */
export async function followOperation(
  client: DaemonPort,
  operationId: string,
  onEvent: (event: StageEvent) => void,
  signal: AbortSignal,
): Promise<OperationView> {
  const cancel = () => {
    client.call("operation.cancel", { id: operationId }).catch(() => {
      // The watch below tells what became of the connection.
    });
  };
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    const operation = await client.watch(operationId, onEvent);
    if (operation.state === "succeeded") return operation;
    throw failureOf(operation);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** The error that an operation which did not succeed ended with. */
export function failureOf(operation: OperationView): BangerError {
  const { error } = operation;
  if (error === null) {
    return new BangerError("cancelled", `Cancelled ${operation.method} of "${operation.subject}"`);
  }
  return new BangerError(error.kind, error.message, {
    ...(error.hint === null ? {} : { hint: error.hint }),
    ...(error.detail === null ? {} : { detail: error.detail }),
    ...(error.code === null ? {} : { code: error.code }),
  });
}
