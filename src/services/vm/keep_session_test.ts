import assert from "node:assert/strict";
import type { AgentSession } from "../../guest/agent_session.ts";
import type { VmId } from "../../model/ids.ts";
import { keepSession } from "./keep_session.ts";
import { Lanes } from "./lanes/lanes.ts";
import { LiveTable, type LiveVm } from "./live.ts";
import { FakeMachine } from "./testdata/service_fixture.ts";

const id = "0123456789abcdef" as VmId;

const noLanes = new Lanes({
  open: () => Promise.reject(new Error("no lane")),
  count: 0,
  monotonicMs: () => 0,
  randomHex: () => "",
});

/** A session that the test breaks, or that is closed. */
class FakeSession {
  readonly #closed = Promise.withResolvers<string>();
  readonly closed = this.#closed.promise;
  isClosed = false;
  close = () => {
    this.isClosed = true;
    this.#closed.resolve("closed");
  };
  break = () => this.#closed.resolve("broken");
  get asSession(): AgentSession {
    return this as unknown as AgentSession;
  }
}

function fixture(reconnect: (session: FakeSession) => Promise<AgentSession>) {
  const table = new LiveTable();
  const machine = new FakeMachine(id);
  const first = new FakeSession();
  const followed: unknown[] = [];
  const live = {
    ...{ machine, session: first.asSession, lanes: noLanes, execs: 0 },
    ports: { closeAll: () => {} },
    autoPorts: { follow: (session: unknown) => void followed.push(session), stop: () => {} },
  } as unknown as LiveVm;
  table.set(id, live);
  const made: FakeSession[] = [];
  const log = { info: () => {}, warn: () => {} };
  const done = keepSession(
    {
      live: table,
      log,
      reconnect: () => {
        const session = new FakeSession();
        made.push(session);
        return reconnect(session);
      },
    },
    id,
    live,
  );
  return { table, machine, first, live, made, done, followed };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !condition(); turn++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.ok(condition());
}

Deno.test("a session that breaks is opened again, as often as it takes, until the VM is let go of", async () => {
  let refusals = 2;
  const { table, first, live, made, done, followed } = fixture((session) =>
    refusals-- > 0 ? Promise.reject(new Error("no answer")) : Promise.resolve(session.asSession)
  );
  first.break();
  await until(() => live.session === made[2]?.asSession);
  made[2]!.break();
  await until(() => live.session === made[3]?.asSession);
  table.drop(id);
  assert.ok(made[3]!.isClosed);
  await done;
  assert.equal(made.length, 4);
  assert.deepEqual(followed, [made[2], made[3]]);
});

Deno.test("the session of a VM that ended meanwhile is not opened, and one that came late is closed", async () => {
  const ended = fixture((session) => Promise.resolve(session.asSession));
  ended.machine.end();
  ended.table.drop(id);
  await ended.done;
  assert.deepEqual(ended.made, []);

  const answer = Promise.withResolvers<void>();
  const late = fixture(async (session) => {
    await answer.promise;
    return session.asSession;
  });
  late.first.break();
  await until(() => late.made.length === 1);
  late.table.drop(id);
  answer.resolve();
  await late.done;
  assert.ok(late.made[0]!.isClosed);
});
