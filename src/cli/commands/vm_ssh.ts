import { isBangerError } from "../../model/errors.ts";
import { defineCommand } from "../command.ts";
import { exitCodes } from "../exit_code.ts";
import { sshSession } from "../guest/ssh_session.ts";
import { printError } from "../print_error.ts";
import { workspaceDir } from "../workspace_dir.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm ssh` */
export const vmSsh = defineCommand({
  description:
    "Without a command: a login shell in the workspace, or in the home directory when there is none. " +
    "With one: its exit code is banger's own; 125 when banger fails.",
  options: {},
  args: { vm: vmArgument },
  rest: { required: false, placeholder: "CMD…", summary: "A command instead of a shell" },
  run: async (context, { args, rest }) => {
    const vm = vmReference(args.vm);
    try {
      const { target } = await withDaemon(context, (client) => client.call("vm.ssh", { vm }));
      return await sshSession(context, {
        target,
        argv: rest,
        cwd: workspaceDir(target.workspace),
        env: {},
        terminal: context.input.isTerminal && context.out.isTerminal,
      });
    } catch (error) {
      if (rest.length === 0 || isBangerError(error, "cancelled")) throw error;
      printError(context.err, error, context.verbose);
      return exitCodes.banger;
    }
  },
});
