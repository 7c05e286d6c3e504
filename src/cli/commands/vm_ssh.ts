import { isBangerError } from "../../model/errors.ts";
import { defineCommand } from "../command.ts";
import { exitCodes } from "../exit_code.ts";
import { type SshSession, sshSession } from "../guest/ssh_session.ts";
import { printError } from "../print_error.ts";
import { noImageDefaults } from "../vm_options.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";

/** `banger vm ssh` */
export const vmSsh = defineCommand({
  description:
    "Without a command: what vm set has given the VM, else a shell in the workspace, or where there is none as the image says, else in the home directory. " +
    "With one: its exit code is banger's own; 125 when banger fails, 126 and 127 when the command cannot be run.",
  options: { noImageDefaults },
  args: { vm: vmArgument },
  rest: { required: false, placeholder: "CMD…", summary: "A command instead of a shell" },
  run: async (context, { options, args, rest }) => {
    const vm = vmReference(args.vm);
    const command: SshSession["command"] = {
      argv: [...rest],
      cwd: null,
      env: {},
      user: null,
      imageDefaults: !options.noImageDefaults,
      workspace: "inside",
    };
    const terminal = context.input.isTerminal && context.out.isTerminal;
    try {
      const connect = (signal: AbortSignal) => context.connect({ start: "on_demand", signal });
      return await sshSession(context, connect, { vm, command, terminal });
    } catch (error) {
      if (rest.length === 0 || isBangerError(error, "cancelled")) throw error;
      printError(context.err, error, context.verbose);
      return exitCodes.banger;
    }
  },
});
