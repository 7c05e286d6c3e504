import { BangerError } from "../../model/errors.ts";
import type { DaemonPort } from "../context.ts";
import { GuestCommand, type GuestCommandParams } from "../guest/guest_command.ts";

const keptChars = 8 * 1024;

/**
 * Checks a branch out in the guest's copy, by the guest's own git.
 *
 * @throws BangerError `precondition` with git's words when it refuses
 */
export async function checkOutBranch(
  client: DaemonPort,
  vmId: string,
  branch: string,
  signal: AbortSignal,
): Promise<void> {
  const argv = ["git", "checkout", "--quiet", branch, "--"];
  const params: GuestCommandParams = {
    vm: vmId,
    argv,
    cwd: null,
    env: {},
    user: null,
    imageDefaults: true,
    workspace: "inside",
  };
  const command = await GuestCommand.start(client, params, false, signal);
  const stop = () => command.abandon("cancelled");
  signal.addEventListener("abort", stop, { once: true });
  const decoder = new TextDecoder();
  let words = "";
  const keep = (bytes: Uint8Array) => {
    words = (words + decoder.decode(bytes, { stream: true })).slice(-keptChars);
    return Promise.resolve();
  };
  try {
    const end = await command.finish({ onStdout: keep, onStderr: keep });
    if (end.how === "exited" && end.code === 0) return;
    throw new BangerError("precondition", `Cannot check out branch "${branch}" in the guest`, {
      hint: "Commit or stash what is changed on the host, or run without --branch",
      detail: words.trim(),
    });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
