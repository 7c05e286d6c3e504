import * as v from "valibot";
import { BangerError, type ErrorKind, isBangerError, reasonOf } from "../model/errors.ts";
import { type WireError, wireError } from "./operation.ts";

/** The error member of a JSON-RPC 2.0 response. */
export interface JsonRpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** Codes of JSON-RPC 2.0 (section 5.1). banger's own failures have `bangerErrorCode` and `data`. */
export const jsonRpcCodes = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
} as const;

/** Code of a response whose `data` is a {@linkcode WireError}. */
export const bangerErrorCode = -32000;

const maxMessageChars = 4 * 1024;
const maxDetailChars = 64 * 1024;

/**
 * Anything that was thrown, as clients may see it: a {@linkcode BangerError} with all of its parts,
 * everything else as `internal` with its message but without its stack.
 */
export function toWireError(error: unknown): WireError {
  const known = isBangerError(error) ? error : asBangerError(error);
  return {
    kind: known.kind,
    message: cut(known.message, maxMessageChars),
    hint: known.hint === undefined ? null : cut(known.hint, maxMessageChars),
    detail: known.detail === undefined ? null : cut(known.detail, maxDetailChars),
    code: known.code ?? null,
  };
}

/** The inverse of {@linkcode toWireError}. */
export function fromWireError(wire: WireError): BangerError {
  return new BangerError(wire.kind, wire.message, {
    ...(wire.hint === null ? {} : { hint: wire.hint }),
    ...(wire.detail === null ? {} : { detail: wire.detail }),
    ...(wire.code === null ? {} : { code: wire.code }),
  });
}

/** Anything that was thrown, as the error member of a response. */
export function toJsonRpcError(error: unknown): JsonRpcError {
  const data = toWireError(error);
  return { code: bangerErrorCode, message: data.message, data };
}

const codesToKinds: Readonly<Record<number, ErrorKind>> = {
  [jsonRpcCodes.parseError]: "invalid",
  [jsonRpcCodes.invalidRequest]: "invalid",
  [jsonRpcCodes.methodNotFound]: "precondition",
  [jsonRpcCodes.invalidParams]: "invalid",
};

/** The error member of a response, whoever sent it, as a {@linkcode BangerError}. */
export function fromJsonRpcError(error: JsonRpcError): BangerError {
  const data = v.safeParse(wireError, error.data);
  if (error.code === bangerErrorCode && data.success) return fromWireError(data.output);
  return new BangerError(codesToKinds[error.code] ?? "internal", error.message);
}

/**
 * Checks `value` against the parameters' schema of `method`.
 *
 * @throws BangerError `invalid` that names the field and the rule
 */
export function checkParams<S extends v.GenericSchema>(
  method: string,
  schema: S,
  value: unknown,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue);
  const message = field === null
    ? `Cannot call "${method}": ${issue.message}`
    : issue.message.startsWith("Cannot ")
    ? issue.message
    : `Cannot call "${method}": field "${field}": ${issue.message}`;
  throw new BangerError("invalid", message);
}

function asBangerError(error: unknown): BangerError {
  if (error instanceof DOMException && error.name === "AbortError") {
    return new BangerError("cancelled", "Stopped: cancelled", { cause: error });
  }
  return new BangerError("internal", `Cannot go on: ${reasonOf(error)}`, {
    hint: "This is a defect of banger; banger daemon logs tells more",
    cause: error,
  });
}

function cut(text: string, maxChars: number): string {
  return text.length <= maxChars ? text : `…${text.slice(text.length - maxChars + 1)}`;
}
