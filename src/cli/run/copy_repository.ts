import { BangerError } from "../../model/errors.ts";
import type { StageProgress } from "../../model/stages.ts";
import { archiveRepository } from "../../repository/archive_repository.ts";
import type { RepositoryContents } from "../../repository/repository.ts";
import { kitPath } from "../../wire/messages.ts";
import type { DaemonPort } from "../context.ts";
import { GuestCommand } from "../guest/guest_command.ts";
import { guestHome } from "../workspace_dir.ts";

/** What to copy where. */
export interface CopyRequest {
  readonly vmId: string;
  /** Directory name below the guest's home. */
  readonly name: string;
  readonly contents: RepositoryContents;
  readonly signal: AbortSignal;
  readonly progress: StageProgress;
}

const busybox = `${kitPath}/bin/busybox`;

/**
 * Unpacks stdin beside its place and moves it there when it is whole. Arguments: home, name. Works in
 * guests without any program of their own.
 */
const unpackScript = `
b=${busybox} stage="$1/.banger-copy.$$" place="$1/$2"
umask 022
trap '"$b" rm -rf "$stage"' EXIT
trap 'exit 1' HUP INT TERM
if [ -e "$place" ] || [ -L "$place" ]; then echo "$place is there already" >&2; exit 1; fi
"$b" mkdir -p "$stage" && "$b" tar -x -f - -C "$stage" && "$b" mv "$stage" "$place"
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
  const { vmId, name, contents, signal, progress } = request;
  const argv = [busybox, "sh", "-c", unpackScript, "sh", guestHome, name];
  const params = { vm: vmId, argv, cwd: "/", env: {}, user: null, imageDefaults: false };
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
    if (end.how !== "exited" || end.code !== 0) throw copyFailed(name, stderr);
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
      hint: "Give it a larger one: banger vm run --disk 20G",
      detail,
    });
  }
  return new BangerError("precondition", `Cannot copy the repository to ${guestHome}/${name}`, {
    ...(detail === "" ? {} : { detail }),
  });
}
