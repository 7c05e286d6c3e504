import { BangerError } from "../../model/errors.ts";
import { defineCommand } from "../command.ts";
import { interruptible } from "../interruptible.ts";
import { operationArgument, operationId, operationReference } from "../operation_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger operation cancel` */
export const operationCancel = defineCommand({
  description: "Stops an operation and waits until everything that it did is undone.",
  options: {},
  args: { operation: operationArgument },
  run: async (context, { args }) => {
    const reference = operationReference(args.operation);
    return await withDaemon(context, (client) =>
      interruptible(context, async (signal) => {
        const id = await operationId(client, reference);
        await client.call("operation.cancel", { id }, signal);
        const operation = await client.watch(id, () => {}, signal);
        if (operation.state === "cancelled") return 0;
        const how = operation.state === "succeeded" ? "it had succeeded" : "it had failed";
        throw new BangerError("conflict", `Cannot cancel operation "${id}": ${how} already`, {
          hint: `banger operation show ${id}`,
        });
      }));
  },
});
