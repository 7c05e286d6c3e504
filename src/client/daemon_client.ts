import type { DaemonVersion } from "../api/daemon.ts";
import type { MethodName, ParamsOf, ResultOf, UpgradingMethod } from "../api/methods.ts";
import type { OperationView } from "../api/operation.ts";
import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import type { StageEvent } from "../model/stages.ts";
import type { ByteLink } from "../transport/byte_link.ts";
import { clientLimits, RpcPeer, RpcResponseError } from "../transport/rpc_peer.ts";

/** JSON-RPC 2.0: there is no such method. */
const methodNotFound = -32601;

/**
 * One connection to the owner daemon. Answers are checked against the contract, until
 * {@linkcode greet} finds that the daemon is the very same code as this program.
 */
export class DaemonClient implements Disposable {
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #peer: RpcPeer;
  #checksAnswers = true;
  readonly #watchers = new Map<string, Set<(event: StageEvent) => void>>();

  constructor(link: ByteLink) {
    this.#peer = new RpcPeer(link, {
      ...clientLimits,
      encodeError: (error) => ({ code: methodNotFound, message: reasonOf(error) }),
      onRequest: (method) =>
        Promise.reject(
          new BangerError("invalid", `Cannot call "${method}": clients serve nothing`),
        ),
      onNotification: (method, params) => this.#notified(method, params),
    });
    this.closed = this.#peer.closed;
  }

  /**
   * Asks the daemon what it is. When it is of this program's `ownBuild`, the compiler has checked
   * its answers, and they are taken as they are from then on.
   *
   * @throws BangerError as {@linkcode call}
   */
  async greet(ownBuild: string | null, signal?: AbortSignal): Promise<DaemonVersion> {
    const answer = await understood(this.#peer.request("daemon.ping", {}, signal));
    const { build } = (answer ?? {}) as Partial<DaemonVersion>;
    this.#checksAnswers = build !== ownBuild || ownBuild === null;
    return await this.#checked("daemon.ping", answer);
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
    return await this.#checked(
      method,
      await understood(this.#peer.request(method, params, signal)),
    );
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
   * Calls a method that turns this connection into raw bytes; nothing else can be called on it
   * afterwards.
   *
   * @throws BangerError as {@linkcode call}; the connection goes on when the daemon refuses
   */
  async upgrade<M extends UpgradingMethod>(
    method: M,
    params: ParamsOf<M>,
    signal?: AbortSignal,
  ): Promise<{ readonly result: ResultOf<M>; readonly link: ByteLink }> {
    const { result, link } = await understood(this.#peer.requestUpgrade(method, params, signal));
    return { result: await this.#checked(method, result), link };
  }

  /** Ends the connection. Leases that hang on it end, too. */
  close(): void {
    this.#peer.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #checked<M extends MethodName>(method: M, result: unknown): Promise<ResultOf<M>> {
    if (!this.#checksAnswers) return result as ResultOf<M>;
    const { checkResult } = await import("./check_result.ts");
    return checkResult(method, result);
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
    if (error instanceof RpcResponseError) {
      const { fromJsonRpcError } = await import("../api/codec.ts");
      throw fromJsonRpcError(error.error);
    }
    if (!isBangerError(error, "unavailable")) throw error;
    throw new BangerError("unavailable", "Cannot reach the daemon: it went away", {
      hint: "banger daemon logs tells why; VMs go on: banger vm list",
      cause: error,
    });
  }
}
