import { BangerError } from "../../model/errors.ts";
import { defineCommand } from "../command.ts";

/** `banger daemon run`: declared for its help; `main.ts` starts the role itself. */
export const daemonRun = defineCommand({
  description:
    "banger starts it by itself when it is needed. It ends with SIGTERM or Ctrl-C; VMs go on.",
  options: {},
  args: {},
  run: () => {
    throw new BangerError("internal", 'Cannot run "banger daemon run": the role was not switched');
  },
});
