import type { OperationView } from "../../api/operation.ts";
import { defineCommand, flag } from "../command.ts";
import { operationArgument, operationId, operationReference } from "../operation_reference.ts";
import { durationText, momentText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { printable } from "../render/printable.ts";
import { fields } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger operation show` */
export const operationShow = defineCommand({
  description: "",
  options: {
    json: flag("Print JSON"),
  },
  args: { operation: operationArgument },
  run: async (context, { options, args }) => {
    const reference = operationReference(args.operation);
    const { operation } = await withDaemon(context, async (client) => {
      const id = await operationId(client, reference);
      return await client.call("operation.status", { id });
    });
    const text = options.json ? jsonText({ operation }) : operationText(operation);
    context.out.write(options.json ? text : printable(text, context.out.isTerminal));
    return 0;
  },
});

function operationText(operation: OperationView): string {
  const { id, method, subject, state, startedAtMs, finishedAtMs, stages, notices, error } =
    operation;
  const pairs: [string, string][] = [
    ["Id", id],
    ["Method", method],
    ["Subject", subject],
    ["State", state],
    ["Started", momentText(startedAtMs)],
  ];
  if (finishedAtMs !== null) pairs.push(["Took", durationText(finishedAtMs - startedAtMs)]);
  if (error !== null) pairs.push(["Error", error.message]);
  if (error !== null && error.hint !== null) pairs.push(["Hint", error.hint]);
  const lines = stages.map(({ title, tookMs, outcome }) =>
    `  ${title}: ${outcome ?? "under way"}${tookMs === null ? "" : ` (${durationText(tookMs)})`}\n`
  );
  const told = notices.map((notice) => `  note: ${notice}\n`);
  return fields(pairs) + [...lines, ...told].join("");
}
