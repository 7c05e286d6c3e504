import type { AgentContext } from "./context.ts";
import { Failure } from "./failure.ts";
import { imageUser, workHome } from "./workspace.ts";

/**
 * Makes the VM's work disk the home directory of `user`, an image's word for one, by the kit's `work-disk`. Once
 * that is done it does nothing.
 *
 * @throws Failure `internal` with what is wrong: without the disk, what is written would not be kept
 */
export async function mountWorkDisk(context: AgentContext, user: string | null): Promise<void> {
  const { uid, gid, home } = imageUser(context.root, user);
  const { success, stdout } = await new Deno.Command(`${context.kit}/sbin/work-disk`, {
    args: [workHome({ uid, home }), `${uid}:${gid}`],
    clearEnv: true,
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (success) return;
  const why = new TextDecoder().decode(stdout).trim();
  throw new Failure("internal", why === "" ? "the work disk cannot be used" : why);
}
