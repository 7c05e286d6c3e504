import { BangerError } from "../../model/errors.ts";
import type { StageProgress } from "../../model/stages.ts";
import { archiveRepository } from "../../repository/archive_repository.ts";
import type { RepositoryContents } from "../../repository/repository.ts";
import { kitPath } from "../../wire/messages.ts";
import type { DaemonPort } from "../context.ts";
import { GuestCommand, type GuestCommandParams } from "../guest/guest_command.ts";

/** What to copy where. */
export interface CopyRequest {
  readonly vmId: string;
  readonly contents: RepositoryContents;
  readonly signal: AbortSignal;
  readonly progress: StageProgress;
}

const busybox = `${kitPath}/bin/busybox`;

/**
 * Unpacks stdin beside its place as the owner of the workspace, and moves it there when it is whole. Works in
 * guests without any program of their own, and makes a home directory that the image lacks.
 */
const unpackScript = `
b=${busybox} place=$BANGER_WORKSPACE owner=$BANGER_WORKSPACE_OWNER
home=\${place%/*}
stage=$home/.banger-copy.$$
umask 022
trap '"$b" rm -rf "$stage"' EXIT
trap 'exit 1' HUP INT TERM
if [ -e "$place" ] || [ -L "$place" ]; then echo "$place is there already" >&2; exit 1; fi
own() { [ "$owner" = 0:0 ] || "$b" chown "$owner" "$1"; }
as=
[ "$owner" = 0:0 ] ||
  as="${kitPath}/bin/setpriv --reuid=\${owner%:*} --regid=\${owner#*:} --clear-groups --"
[ -d "$home" ] || { "$b" mkdir -p "$home" && own "$home"; } || exit
"$b" mkdir "$stage" && own "$stage" && cd "$stage" && $as "$b" tar -x -f - && cd / &&
  "$b" mv "$stage" "$place"
`;

const stderrKeptChars = 8 * 1024;

/**
 * Copies a repository into a guest, over a connection of its own, which this takes over.
 *
 * @throws BangerError `exhausted` when the guest's disk is full, `precondition`, `unavailable`,
 * `cancelled`; nothing is at the place then
 */
export async function copyRepository(
  client: DaemonPort,
  request: CopyRequest,
  onNotice: (text: string) => void,
): Promise<void> {
  const { vmId, contents, signal, progress } = request;
  const params: GuestCommandParams = {
    vm: vmId,
    argv: [busybox, "sh", "-c", unpackScript],
    cwd: null,
    env: {},
    user: null,
    imageDefaults: false,
    workspace: "new",
  };
  const command = await GuestCommand.start(client, params, true, signal);
  const stop = () => command.abandon("cancelled");
  signal.addEventListener("abort", stop, { once: true });
  const archive = archiveRepository(contents, signal, onNotice);
  const decoder = new TextDecoder();
  let sent = 0;
  let stderr = "";
  try {
    const end = await command.finish({
      readStdin: async () => {
        const { done, value } = await archive.next();
        if (done === true) return null;
        sent += value.length;
        progress(Math.min(sent, contents.totalBytes), contents.totalBytes, "bytes");
        return value;
      },
      onStdout: () => Promise.resolve(),
      onStderr: (bytes) => {
        stderr = (stderr + decoder.decode(bytes, { stream: true })).slice(-stderrKeptChars);
        return Promise.resolve();
      },
    });
    if (end.how !== "exited" || end.code !== 0) throw copyFailed(contents.name, stderr);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", stop);
    await archive.return(undefined).catch(() => {});
  }
}

function copyFailed(name: string, stderr: string): BangerError {
  const detail = stderr.trim();
  if (detail.includes("No space left on device")) {
    return new BangerError("exhausted", "Cannot copy the repository: the guest's disk is full", {
      hint: "Give it a larger one: banger vm run --work-disk 20G, or --disk 20G where it has none",
      detail,
    });
  }
  return new BangerError("precondition", `Cannot copy repository "${name}" into the guest`, {
    ...(detail === "" ? {} : { detail }),
  });
}
