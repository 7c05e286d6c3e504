import assert from "node:assert/strict";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import type { DaemonClient } from "../../src/client/daemon_client.ts";
import { isBangerError } from "../../src/model/errors.ts";
import { pathsInput } from "../../src/paths/environment.ts";
import { Paths } from "../../src/paths/paths.ts";
import { buildInfo } from "../../src/version/build_info.ts";
import { selfCommand } from "../../src/version/self_command.ts";

/** One owner with a home of its own, whose daemon is started from source. */
export interface OwnerFixture {
  readonly paths: Paths;
  readonly env: Readonly<Record<string, string>>;
  readonly notices: string[];
  /** Connects; the connection is closed at the end of the test. */
  connect(change?: Partial<ConnectOptions>): Promise<DaemonClient>;
  /** Pid of the running daemon. */
  pid(): Promise<number>;
}

/** Runs `body` with an owner that has no daemon yet; afterwards the daemon and the home are gone. */
export async function withOwner(
  body: (owner: OwnerFixture) => Promise<void>,
  options: { readonly homeLength?: number; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const top = await Deno.makeTempDir();
  const padding = Math.max(0, (options.homeLength ?? 0) - top.length - 1);
  const home = padding === 0 ? top : `${top}/${"h".repeat(padding)}`;
  await Deno.mkdir(home, { recursive: true });
  const env = { HOME: home, PATH: Deno.env.get("PATH") ?? "/usr/bin", ...options.env };
  const paths = new Paths(pathsInput({ HOME: home }));
  const clients: DaemonClient[] = [];
  const notices: string[] = [];
  const owner: OwnerFixture = {
    paths,
    env,
    notices,
    connect: async (change = {}) => {
      const client = await connect({
        paths,
        start: "on_demand",
        command: selfCommand,
        env: () => env,
        own: buildInfo(),
        onNotice: (text) => notices.push(text),
        ...change,
      });
      clients.push(client);
      return client;
    },
    pid: async () => {
      const client = await owner.connect({ start: "never" });
      return (await client.call("daemon.status", {})).pid;
    },
  };
  try {
    await body(owner);
  } finally {
    await stopDaemon(owner);
    for (const client of clients) {
      client.close();
      await client.closed;
    }
    let looks = 0;
    await eventually("the daemons have ended", async () => {
      // A list of children that is read while one of them ends may lack another (proc(5)).
      looks = (await daemonChildren()).length === 0 ? looks + 1 : 0;
      if (looks > 0) return looks === 3;
      // One of several started at once may have been so slow that it found the lock free again.
      await stopDaemon(owner);
      return false;
    });
    for (const client of clients) client.close();
    await Deno.remove(top, { recursive: true });
    await Deno.remove(paths.runtimeDir, { recursive: true }).catch(() => {});
  }
}

/** Ends the owner's daemon, if there is one, and waits until its connections are closed. */
export async function stopDaemon(owner: OwnerFixture): Promise<void> {
  try {
    const client = await owner.connect({ start: "never" });
    await client.call("daemon.stop", { force: true });
    await client.closed;
  } catch (error) {
    assert.ok(isBangerError(error, "unavailable"), String(error));
  }
}

/** Daemons that are children of this process and not yet reaped. */
async function daemonChildren(): Promise<string[]> {
  const found: string[] = [];
  for await (const { name: task } of Deno.readDir(`/proc/${Deno.pid}/task`)) {
    const list = await Deno.readTextFile(`/proc/${Deno.pid}/task/${task}/children`);
    for (const pid of list.split(" ").filter((word) => word !== "")) {
      const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
      // A zombie's command line is empty.
      if (command === "" || command.includes("daemon\0run")) found.push(pid);
    }
  }
  return found;
}

/** Waits until `condition` holds, at most 10 s. */
export async function eventually(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never: ${what}`);
}
