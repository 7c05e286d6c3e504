import type { ImageRun } from "../../model/artefacts.ts";
import type { VmRecord } from "../../model/vm.ts";
import type { ExecRequest, ImageDefaults } from "../../wire/messages.ts";

/** A command as a client asks for it. */
export interface GuestCommand {
  readonly argv: readonly string[];
  readonly cwd: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string | null;
  readonly stdin: boolean;
  /** Whether what the image says applies where the rest says nothing. */
  readonly imageDefaults: boolean;
  /** `inside`: it starts in the VM's workspace where there is one; `new`: it makes that. */
  readonly workspace: "none" | "inside" | "new";
}

/**
 * The command as its VM's guest is to run it. The workspace belongs to the image's user, unless the VM
 * was made without the image's defaults: then it is root's, and so are its commands. Where no command is
 * given the VM's own one is run, unless the image's defaults are left out.
 */
export function execOf(
  command: GuestCommand,
  vm: Pick<VmRecord, "workspace" | "imageDefaults" | "command">,
  run: ImageRun | null,
): ExecRequest {
  const { workspace, imageDefaults, ...exec } = command;
  const argv = exec.argv.length > 0 || !imageDefaults ? exec.argv : vm.command ?? [];
  const image = run === null || !vm.imageDefaults ? null : defaultsOf(run);
  return {
    ...exec,
    argv,
    workspace: vm.workspace === null || workspace === "none" ? null : {
      name: vm.workspace,
      owner: image?.user ?? null,
      isNew: workspace === "new",
    },
    image: imageDefaults ? image : null,
  };
}

function defaultsOf(run: ImageRun): ImageDefaults {
  return {
    env: variables(run.env),
    cwd: run.workingDir === "" ? null : run.workingDir,
    user: run.user === "" ? null : run.user,
    argv: [...run.entrypoint, ...run.cmd],
  };
}

/** Of two with the same name the last one counts, as with execve(2)'s callers. */
function variables(env: readonly string[]): Record<string, string> {
  return Object.fromEntries(env.map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)];
  }));
}
