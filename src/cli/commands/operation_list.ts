import type { OperationView } from "../../api/operation.ts";
import { defineCommand, flag } from "../command.ts";
import { ageText, durationText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { table } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger operation list` */
export const operationList = defineCommand({
  description:
    "Newest first. Finished ones are forgotten after a day, or when there are 200 newer ones.",
  options: {
    running: flag("Only those that have not ended"),
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const all = await withDaemon(context, (client) => client.call("operation.list", {}));
    const operations = all.operations.filter(({ state }) =>
      !options.running || state === "running"
    );
    if (options.json) context.out.write(jsonText({ operations }));
    else context.out.write(operationTable(operations, context.wallClockMs()));
    return 0;
  },
});

function operationTable(operations: readonly OperationView[], nowMs: number): string {
  const rows = operations.map(({ id, method, subject, state, startedAtMs, finishedAtMs }) => [
    id,
    method,
    subject,
    state,
    ageText(nowMs - startedAtMs),
    durationText(Math.max(0, (finishedAtMs ?? nowMs) - startedAtMs)),
  ]);
  const align = ["left", "left", "left", "left", "right", "right"] as const;
  return table(["ID", "METHOD", "SUBJECT", "STATE", "AGE", "TOOK"], rows, align);
}
