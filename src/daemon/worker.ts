import { toWireError } from "../api/codec.ts";
import { FileSink } from "../log/file_sink.ts";
import { configureLog } from "../log/log.ts";
import { stderrSink } from "../log/stderr_sink.ts";
import { Paths } from "../paths/paths.ts";
import { assertNarrow } from "./assert_narrow.ts";
import { BrokerClient } from "./broker_client.ts";
import type { FromWorker, ToWorker, WorkerInit } from "./broker_protocol.ts";
import { Serving } from "./serving.ts";

/** The Worker's own scope, which the window's types do not describe. */
const scope = self as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  close(): void;
};

const broker = new BrokerClient((message) => scope.postMessage(message));
let serving: Serving | undefined;

async function start(init: WorkerInit): Promise<void> {
  try {
    const paths = new Paths(init.pathsInput);
    assertNarrow(paths);
    configureLog(
      init.logTo === "file"
        ? new FileSink({ path: paths.daemonLog }).write
        : stderrSink(init.logTo === "journald"),
      init.verbose ? "debug" : "info",
    );
    serving = new Serving(init, broker, (clean) => scope.postMessage({ type: "ended", clean }));
    await serving.start();
    scope.postMessage({ type: "ready" });
  } catch (error) {
    scope.postMessage({ type: "failed", error: toWireError(error) });
  }
}

scope.onmessage = ({ data }) => {
  if (data.type === "init") start(data);
  else if (data.type === "shutdown") serving?.shutDown();
  else broker.accept(data);
};
scope.postMessage({ type: "loaded" });
