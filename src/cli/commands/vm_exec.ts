import { BangerError } from "../../model/errors.ts";
import { defineCommand, flag, value } from "../command.ts";
import { envOf, envOption } from "../env_option.ts";
import { noImageDefaults } from "../vm_options.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm exec` */
export const vmExec = defineCommand({
  description:
    "Runs it through the guest agent: no shell in between, stdin, stdout and stderr byte for byte. " +
    "It starts in the workspace, or where there is none as the image says, else in the home directory. " +
    "The exit code is the command's own; 125 when banger fails, 126 and 127 when the command cannot be run.",
  options: {
    cwd: value("DIR", "Where in the guest to run it"),
    user: value("USER", "As whom to run it (else as the image says, else as root)"),
    env: envOption,
    noStdin: flag("Give it no stdin"),
    noImageDefaults,
  },
  args: { vm: vmArgument },
  rest: {
    required: false,
    placeholder: "CMD…",
    summary: "The command and its arguments; may be left out where vm set has given the VM one",
  },
  exitCodes: "passed_through",
  examples: [["banger vm exec web -- uname -a", "one command in the VM"]],
  run: async (context, { options, args, rest }) => {
    const vm = vmReference(args.vm);
    const { runGuestCommand } = await import("../guest/run_guest_command.ts");
    const found = await withDaemon(context, (client) => client.call("vm.show", { vm }));
    if (rest.length === 0 && (found.vm.command === null || options.noImageDefaults)) {
      throw new BangerError("invalid", 'Cannot run "banger vm exec": CMD… is missing', {
        hint: `banger vm ssh ${found.vm.name} opens a shell`,
      });
    }
    const connect = (signal: AbortSignal) => context.connect({ start: "never", signal });
    return await runGuestCommand(context, connect, {
      vm: found.vm.id,
      argv: [...rest],
      cwd: options.cwd ?? null,
      workspace: "inside",
      imageDefaults: !options.noImageDefaults,
      env: { ...envOf(options.env, context.env) },
      user: options.user ?? null,
    }, !options.noStdin);
  },
});
