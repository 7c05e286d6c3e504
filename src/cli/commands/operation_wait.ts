import { defineCommand } from "../command.ts";
import { failureOf } from "../follow_operation.ts";
import { interruptible } from "../interruptible.ts";
import { operationArgument, operationId, operationReference } from "../operation_reference.ts";
import { StageView } from "../render/stage_view.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger operation wait` */
export const operationWait = defineCommand({
  description:
    "Shows its stages, and ends as the operation does: with its error and exit code when it fails. " +
    "Ctrl-C only leaves; the operation goes on.",
  options: {},
  args: { operation: operationArgument },
  run: async (context, { args }) => {
    const reference = operationReference(args.operation);
    const { err, nowMs, quiet } = context;
    const view = new StageView({ err, nowMs, silent: quiet });
    try {
      return await withDaemon(context, (client) =>
        interruptible(context, async (signal) => {
          const id = await operationId(client, reference);
          const operation = await client.watch(id, (event) => view.event(event), signal);
          if (operation.state !== "succeeded") throw failureOf(operation);
          return 0;
        }));
    } finally {
      view.close();
    }
  },
});
