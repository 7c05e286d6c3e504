import { checkParams, jsonRpcCodes, type JsonRpcError, toJsonRpcError } from "../api/codec.ts";
import { type MethodName, methods } from "../api/methods.ts";
import { isBangerError } from "../model/errors.ts";
import type { Logger } from "../log/log.ts";
import type { CallContext } from "./call_context.ts";
import type { Handlers } from "./handler_table.ts";

/** No method has that name. */
export class UnknownMethodError extends Error {
  override readonly name = "UnknownMethodError";
}

/**
 * Finds the handler of `method`, checks the parameters and calls it; answers what the handler does,
 * a result or a promise of one. Throws at once where nothing is called.
 */
export function dispatcher(
  handlers: Handlers,
): (method: string, params: unknown, context: CallContext) => unknown {
  return (method, params, context) => {
    if (!isMethodName(method)) {
      throw new UnknownMethodError(`Method not found: ${method.slice(0, 64)}`);
    }
    const handler = handlers[method] as (p: unknown, c: CallContext) => unknown;
    return handler(checkParams(method, methods[method].params, params), context);
  };
}

/** What a failed call is on the wire. Defects are logged with their stack, which stays here. */
export function errorEncoder(log: Logger): (error: unknown) => JsonRpcError {
  return (error) => {
    if (error instanceof UnknownMethodError) {
      return { code: jsonRpcCodes.methodNotFound, message: error.message };
    }
    if (!isBangerError(error) || error.kind === "internal") {
      log.error("A call failed", { error: stackOf(error) });
    }
    return toJsonRpcError(error);
  };
}

function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
