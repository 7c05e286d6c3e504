import { GuestCommand } from "../../src/cli/guest/guest_command.ts";
import { DaemonClient } from "../../src/client/daemon_client.ts";
import { connectUnix } from "../../src/transport/unix_client.ts";
import type { Lane } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";
import { bringTo, name, world } from "./vm_under_test.ts";

/** More than the link carries before the guest says that it has taken some. */
const archiveBytes = 20 * 32 * 1024;
const pieceBytes = 32 * 1024;

/** What the CLI does when it copies a repository into a guest, which only says that it has it. */
async function copy(lane: Lane): Promise<void> {
  const client = new DaemonClient(await connectUnix(lane.paths.daemonSocket));
  const command = await GuestCommand.start(client, {
    ...{ vm: name, argv: ["tar"], cwd: null, env: {}, user: null },
    ...{ imageDefaults: false, workspace: "new" },
  }, true);
  let left = archiveBytes;
  const end = await command.finish({
    readStdin: () => {
      if (left === 0) return Promise.resolve(null);
      left -= pieceBytes;
      return Promise.resolve(new Uint8Array(pieceBytes));
    },
    onStdout: () => Promise.resolve(),
    onStderr: () => Promise.resolve(),
  });
  if (end.how !== "exited" || end.code !== 0) throw new Error(JSON.stringify(end));
}

/** What the daemon carries into a guest. */
export const guestOperations: readonly FaultOperation[] = [
  {
    name: "workspace",
    prepare: (lane) => bringTo(lane, "running", { workspace: "repo" }),
    run: (lane) => lane.outcomeOf(() => copy(lane)),
    world,
    worlds: {
      ok: ["running, workspace repo"],
      failed: ["running, workspace repo"],
      lost: ["running, workspace repo"],
      vmm: ["stopped, workspace repo"],
    },
    again: async (lane, world) => {
      if (world.startsWith("stopped")) await lane.done("vm.start", { vm: name });
      return await lane.outcomeOf(() => copy(lane));
    },
  },
];
