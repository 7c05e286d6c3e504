/**
 * The commands: one file each, a declaration and a thin action.
 *
 * Owns the words and options of each command. Must not import one another, nor at the top of a file
 * what is slow to load: `vm list` is to cost hardly more than starting.
 */
import { BangerError } from "../../model/errors.ts";
import { defineCommand, flag, value } from "../command.ts";
import { envOf, envOption } from "../env_option.ts";
import { noImageDefaults, vmOptions } from "../vm_options.ts";

/** `banger vm run` */
export const vmRun = defineCommand({
  description:
    "Copies the git repository that contains PATH (the current directory when left out) to /root/NAME in the guest " +
    "(below the home directory of the image's user where that is another), " +
    "with untracked files that git does not ignore and with its history. The host's repository is not touched.\n" +
    "stdin, stdout and stderr are the command's own, and so is the exit code; 125 when banger fails, " +
    "126 and 127 when the command cannot be run. Without a command you get a shell, " +
    "or where the image has none what the image runs.",
  options: {
    ...vmOptions,
    rm: flag("Delete the VM afterwards"),
    branch: value("BRANCH", "Put the copy on this branch, made when it does not exist"),
    noWorkspace: flag("Copy no repository"),
    noImageDefaults,
    env: envOption,
    timings: flag("Print how long each stage took"),
  },
  args: {
    path: { count: "optional", placeholder: "PATH", summary: "A directory in the repository" },
  },
  rest: { required: false, placeholder: "CMD…", summary: "A command instead of a shell" },
  exitCodes: "passed_through",
  examples: [
    ["banger vm run", "a shell; the VM stays afterwards"],
    ["banger vm run --rm -- make test", "one command; nothing stays"],
    ["echo hi | banger vm run --rm -- cat", "with stdin"],
  ],
  run: async (context, { options, args, rest }) => {
    const { noWorkspace, branch } = options;
    if (noWorkspace && (args.path !== undefined || branch !== undefined)) {
      const what = branch === undefined ? "PATH" : "--branch";
      throw new BangerError("invalid", `Cannot use ${what} with --no-workspace: nothing is copied`);
    }
    if (options.rm && options.workDisk !== undefined) {
      throw new BangerError("invalid", "Cannot use --work-disk with --rm: nothing would be kept");
    }
    const { runVm } = await import("../run/run_vm.ts");
    return await runVm(context, {
      ...options,
      path: noWorkspace ? null : args.path ?? context.cwd,
      branch: branch ?? null,
      remove: options.rm,
      imageDefaults: !options.noImageDefaults,
      env: envOf(options.env, context.env),
      command: rest,
    });
  },
});
