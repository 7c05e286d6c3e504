import * as v from "valibot";
import { fromJsonRpcError, toJsonRpcError } from "../api/codec.ts";
import { type MethodName, methods, type ParamsOf, type ResultOf } from "../api/methods.ts";
import type { OperationView } from "../api/operation.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import type { StageEvent } from "../model/stages.ts";
import type { ByteLink } from "../transport/byte_link.ts";
import { clientLimits, RpcPeer, RpcResponseError } from "../transport/rpc_peer.ts";

/** One connection to the owner daemon. */
export class DaemonClient implements Disposable {
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #peer: RpcPeer;
  readonly #watchers = new Map<string, Set<(event: StageEvent) => void>>();

  constructor(link: ByteLink) {
    this.#peer = new RpcPeer(link, {
      ...clientLimits,
      encodeError: toJsonRpcError,
      onRequest: (method) =>
        Promise.reject(
          new BangerError("invalid", `Cannot call "${method}": clients serve nothing`),
        ),
      onNotification: (method, params) => this.#notified(method, params),
    });
    this.closed = this.#peer.closed;
  }

  /**
   * Calls a method of the daemon. When `signal` aborts the call is withdrawn.
   *
   * @throws BangerError what the daemon answers; `unavailable` when it goes away; the reason of
   * `signal`
   */
  async call<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    signal?: AbortSignal,
  ): Promise<ResultOf<M>> {
    return checkResult(method, await understood(this.#peer.request(method, params, signal)));
  }

  /**
   * Follows an operation to its end; events that are past are replayed first. Aborting `signal`
   * ends the watching, not the operation.
   *
   * @throws BangerError as {@linkcode call}; a failed operation is no failure of this call
   */
  async watch(
    operationId: string,
    onEvent: (event: StageEvent) => void,
    signal?: AbortSignal,
  ): Promise<OperationView> {
    const watcher = (event: StageEvent) => onEvent(event);
    const watchers = this.#watchers.get(operationId) ?? new Set();
    this.#watchers.set(operationId, watchers.add(watcher));
    try {
      return (await this.call("operation.watch", { id: operationId }, signal)).operation;
    } finally {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(operationId);
    }
  }

  /**
   * Calls `vm.exec`, which turns this connection into raw bytes; nothing else can be called on it
   * afterwards.
   *
   * @throws BangerError as {@linkcode call}; the connection goes on when the daemon refuses
   */
  async upgrade(params: ParamsOf<"vm.exec">, signal?: AbortSignal): Promise<ByteLink> {
    const { result, link } = await understood(
      this.#peer.requestUpgrade("vm.exec", params, signal),
    );
    checkResult("vm.exec", result);
    return link;
  }

  /** Ends the connection. Leases that hang on it end, too. */
  close(): void {
    this.#peer.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #notified(method: string, params: unknown): void {
    if (method !== "operation.event") return;
    // The daemon is this user's own; what it sends is typed by the same contracts.
    const { id, event } = params as { readonly id: string; readonly event: StageEvent };
    this.#watchers.get(id)?.forEach((watcher) => watcher(event));
  }
}

/** Turns failures of the transport into what callers understand. */
async function understood<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RpcResponseError) throw fromJsonRpcError(error.error);
    if (!isBangerError(error, "unavailable")) throw error;
    throw new BangerError("unavailable", "Cannot reach the daemon: it went away", {
      hint: "banger daemon logs tells why; VMs go on: banger vm list",
      cause: error,
    });
  }
}

function checkResult<M extends MethodName>(method: M, result: unknown): ResultOf<M> {
  const checked = v.safeParse(methods[method].result, sampleOf(method, result), {
    abortEarly: true,
  });
  if (checked.success) return (method === "vm.list" ? result : checked.output) as ResultOf<M>;
  const where = v.getDotPath(checked.issues[0]) ?? "the answer";
  throw new BangerError(
    "internal",
    `Cannot understand the daemon: ${method}: ${where}: ${checked.issues[0].message}`,
    { hint: "Another version of banger may have started it: banger daemon stop" },
  );
}

/**
 * What is checked of a result: all of it, but of the list of VMs the first one. The check finds a daemon
 * of another version, whose VMs all differ alike; on 1,000 VMs it would take as long as starting.
 */
function sampleOf(method: MethodName, result: unknown): unknown {
  const vms = (result as { readonly vms?: unknown } | null | undefined)?.vms;
  return method === "vm.list" && Array.isArray(vms) ? { vms: vms.slice(0, 1) } : result;
}
