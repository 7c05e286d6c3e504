import { type MethodName, methods } from "../api/methods.ts";
import type { Handlers, OwnMethod } from "./handler_table.ts";

/** Methods that work without a store. */
const storeless: readonly OwnMethod[] = ["daemon.ping", "daemon.status", "daemon.stop"];

/**
 * `own`, with everything that needs the store answering `error`: a daemon that cannot open its
 * store tells why, instead of vanishing. `onRefused` is called each time that it has.
 */
export function refusingHandlers(
  own: Pick<Handlers, OwnMethod>,
  error: Error,
  onRefused: () => void,
): Handlers {
  const refuse = () => {
    onRefused();
    return Promise.reject(error);
  };
  const table = Object.fromEntries(
    (Object.keys(methods) as MethodName[]).map((name) => [
      name,
      storeless.some((kept) => kept === name) ? own[name as OwnMethod] : refuse,
    ]),
  );
  return table as unknown as Handlers;
}
