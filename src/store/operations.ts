import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { OperationView, WireError } from "../api/operation.ts";
import { operationStates } from "../model/artefacts.ts";
import { integer, integerOrNull, jsonOrNull, oneOf, type Row, text, toJson } from "./row.ts";
import { storeFailure } from "./store_failure.ts";

/** The operations' rows: written when one begins and when it is final. */
export class OperationRows {
  readonly #save: StatementSync;
  readonly #byId: StatementSync;
  readonly #newest: StatementSync;
  readonly #interrupted: StatementSync;
  readonly #prune: StatementSync;

  constructor(db: DatabaseSync) {
    this.#save = db.prepare(`
      INSERT OR REPLACE INTO operations VALUES (:id, :method, :subject, :state, :started_at_ms,
        :finished_at_ms, :stages, :notices, :result, :error)`);
    this.#byId = db.prepare("SELECT * FROM operations WHERE id = ?");
    this.#newest = db.prepare("SELECT * FROM operations ORDER BY started_at_ms DESC, id LIMIT ?");
    this.#interrupted = db.prepare(`
      UPDATE operations SET state = 'failed', finished_at_ms = ?, error = ?
      WHERE state = 'running'`);
    this.#prune = db.prepare(`
      DELETE FROM operations WHERE state <> 'running' AND (started_at_ms < ? OR id NOT IN
        (SELECT id FROM operations ORDER BY started_at_ms DESC, id LIMIT ?))`);
  }

  /** Inserts or replaces the row. */
  save(operation: OperationView): void {
    this.#run(() =>
      this.#save.run({
        id: operation.id,
        method: operation.method,
        subject: operation.subject,
        state: operation.state,
        started_at_ms: operation.startedAtMs,
        finished_at_ms: operation.finishedAtMs,
        stages: JSON.stringify(operation.stages),
        notices: JSON.stringify(operation.notices),
        result: toJson(operation.result),
        error: toJson(operation.error),
      })
    );
  }

  find(id: string): OperationView | undefined {
    const row = this.#byId.get(id);
    return row === undefined ? undefined : fromRow(row);
  }

  /** Newest first. */
  list(limit: number): OperationView[] {
    return this.#newest.all(limit).map(fromRow);
  }

  /** Marks those that an earlier daemon left running as failed with `error`; answers how many. */
  failInterrupted(atMs: number, error: WireError): number {
    return this.#run(() => Number(this.#interrupted.run(atMs, JSON.stringify(error)).changes));
  }

  /** Forgets final ones begun before `beforeMs`, or beyond the newest `keep`; answers how many. */
  prune(beforeMs: number, keep: number): number {
    return this.#run(() => Number(this.#prune.run(beforeMs, keep).changes));
  }

  #run<T>(body: () => T): T {
    try {
      return body();
    } catch (cause) {
      throw storeFailure("change the store", cause);
    }
  }
}

function fromRow(row: Row): OperationView {
  return {
    id: text(row, "id"),
    method: text(row, "method"),
    subject: text(row, "subject"),
    state: oneOf(row, "state", operationStates),
    startedAtMs: integer(row, "started_at_ms"),
    finishedAtMs: integerOrNull(row, "finished_at_ms"),
    stages: jsonOrNull<OperationView["stages"]>(row, "stages") ?? [],
    notices: jsonOrNull<OperationView["notices"]>(row, "notices") ?? [],
    result: jsonOrNull<unknown>(row, "result"),
    error: jsonOrNull<WireError>(row, "error"),
  };
}
