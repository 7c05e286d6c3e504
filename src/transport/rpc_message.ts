/** A request's id; `null` only in answers to what could not be read. */
export type RpcId = string | number;

/** The error member of a response. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** A frame that was understood, or why it was not. */
export type RpcMessage =
  | {
    readonly type: "request";
    readonly id: RpcId;
    readonly method: string;
    readonly params: unknown;
  }
  | { readonly type: "notification"; readonly method: string; readonly params: unknown }
  | { readonly type: "result"; readonly id: RpcId; readonly result: unknown }
  | { readonly type: "error"; readonly id: RpcId | null; readonly error: RpcError }
  | { readonly type: "bad"; readonly id: RpcId | null; readonly error: RpcError };

const maxIdChars = 128;

/** Reads one JSON value as a JSON-RPC 2.0 message. Batches are not part of this protocol. */
export function readMessage(value: unknown): RpcMessage {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return bad(null, "a message is an object");
  }
  const message = value as Record<string, unknown>;
  const id = isId(message["id"]) ? message["id"] : null;
  if (message["jsonrpc"] !== "2.0") return bad(id, 'jsonrpc must be "2.0"');
  if ("method" in message) return readCall(message, id);
  if ("error" in message) return readError(message["error"], id);
  if ("result" in message && id !== null) return { type: "result", id, result: message["result"] };
  return bad(id, "it is neither a request nor a response");
}

function readCall(message: Record<string, unknown>, id: RpcId | null): RpcMessage {
  const { method, params = {} } = message;
  if (typeof method !== "string") return bad(id, "method must be a string");
  if (typeof params !== "object" || params === null || Array.isArray(params)) {
    return bad(id, "params must be an object");
  }
  if (!("id" in message)) return { type: "notification", method, params };
  if (id === null) return bad(null, "id must be a string or a number");
  return { type: "request", id, method, params };
}

function readError(error: unknown, id: RpcId | null): RpcMessage {
  if (typeof error !== "object" || error === null) return bad(id, "error must be an object");
  const { code, message, data } = error as Record<string, unknown>;
  if (typeof code !== "number" || typeof message !== "string") {
    return bad(id, "error needs code and message");
  }
  return { type: "error", id, error: { code, message, data } };
}

function isId(id: unknown): id is RpcId {
  return typeof id === "string" ? id.length <= maxIdChars : Number.isSafeInteger(id);
}

function bad(id: RpcId | null, why: string): RpcMessage {
  return { type: "bad", id, error: { code: -32600, message: `Invalid request: ${why}` } };
}
