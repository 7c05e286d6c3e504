import { BangerError } from "../model/errors.ts";
import type { Operations } from "../services/operation/operations.ts";
import type { Handlers, OwnMethod } from "./handler_table.ts";

/** What the daemon knows of itself. */
export interface OwnFacts {
  readonly version: string;
  readonly commit: string;
  readonly build: string | null;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly socketPath: string;
  readonly stateDir: string;
  readonly logPath: string;
  readonly runningVms: () => number;
  readonly rssBytes: () => number;
  /** Begins to end the daemon, once the answer under way has been sent. */
  readonly shutDown: () => void;
}

/** The methods on the daemon itself and on operations. */
export function ownHandlers(facts: OwnFacts, operations: Operations): Pick<Handlers, OwnMethod> {
  return {
    "daemon.ping": () => ({ version: facts.version, commit: facts.commit, build: facts.build }),
    "daemon.status": () => ({
      version: facts.version,
      commit: facts.commit,
      pid: facts.pid,
      startedAtMs: facts.startedAtMs,
      socketPath: facts.socketPath,
      stateDir: facts.stateDir,
      logPath: facts.logPath,
      runningVms: facts.runningVms(),
      runningOperations: operations.runningCount,
      rssBytes: facts.rssBytes(),
    }),
    "daemon.stop": ({ force }) => {
      const running = operations.runningCount;
      if (running > 0 && !force) {
        const what = running === 1 ? "1 operation runs" : `${running} operations run`;
        throw new BangerError("conflict", `Cannot stop the daemon: ${what}`, {
          hint: "Wait until they have ended, or cancel them: banger daemon stop --force",
        });
      }
      facts.shutDown();
      return {};
    },
    "operation.list": () => ({ operations: operations.list() }),
    "operation.status": ({ id }) => ({ operation: operations.view(id) }),
    "operation.watch": async ({ id }, context) => {
      const onEvent = (event: unknown) => context.notify("operation.event", { id, event });
      return { operation: await operations.watch(id, onEvent, context.signal) };
    },
    "operation.cancel": ({ id }) => {
      operations.cancel(id);
      return {};
    },
  };
}
