import { Inflater } from "../layers/apart/inflater.ts";
import type { FromInflater, ToInflater } from "../layers/apart/inflating_thread.ts";
import { assertReadsOnly } from "../process/own_permissions.ts";

/** The Worker's own scope, which the window's types do not describe. */
const scope = self as unknown as {
  postMessage(message: FromInflater, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToInflater>) => void) | null;
};

// A failure is an unhandled error, which the other thread is told of.
assertReadsOnly();
const inflater = new Inflater((message, transfer) => scope.postMessage(message, transfer));
scope.onmessage = ({ data }) => inflater.accept(data);
scope.postMessage({ type: "ready" }, []);
