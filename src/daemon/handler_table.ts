import type { CheckedParamsOf, MethodName, ResultOf } from "../api/methods.ts";
import type { Serialised } from "../transport/serialised.ts";
import type { CallContext } from "./call_context.ts";

/** Answers one method; the parameters have passed its schema. Failures are thrown. */
export type Handler<M extends MethodName> = (
  params: CheckedParamsOf<M>,
  context: CallContext,
) => Promise<Answer<M>> | Answer<M>;

/** A result, or one that is JSON already. */
type Answer<M extends MethodName> = ResultOf<M> | Serialised<ResultOf<M>>;

/** A handler for every method: one that is missing does not compile. */
export type Handlers = { readonly [M in MethodName]: Handler<M> };

/** Methods that the daemon answers itself. */
export type OwnMethod =
  | "daemon.ping"
  | "daemon.status"
  | "daemon.stop"
  | Extract<MethodName, `operation.${string}`>;

/** Methods that the services answer; what `compose.ts` makes. */
export type ServiceHandlers = Omit<Handlers, OwnMethod>;
