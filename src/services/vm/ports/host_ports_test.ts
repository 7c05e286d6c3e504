import assert from "node:assert/strict";
import fc from "fast-check";
import { type BangerError, isBangerError } from "../../../model/errors.ts";
import type { VmId } from "../../../model/ids.ts";
import { portLimits, type PublishedPort, type WantedPort } from "../../../model/published_port.ts";
import type { VmRecord } from "../../../model/vm.ts";
import { ListenError } from "../../../net/loopback_listener.ts";
import { type BoundPort, closeAll } from "./bound_port.ts";
import { HostPorts } from "./host_ports.ts";

/** The loopback of a host on which an ordinary user listens, or root. */
class FakeHost {
  isRoot = false;
  readonly taken = new Set<number>();
  readonly vms: Pick<VmRecord, "id" | "config" | "state" | "runtime" | "published">[] = [];
  readonly ports = new HostPorts({
    listen: (port) => {
      if (this.taken.has(port)) return Promise.reject(new ListenError("taken", "in use"));
      if (port < 1024 && !this.isRoot) {
        return Promise.reject(new ListenError("privileged", "denied"));
      }
      this.taken.add(port);
      return Promise.resolve({ port, close: () => void this.taken.delete(port) });
    },
    vms: () => this.vms as VmRecord[],
  });

  /** A VM with ports that are open already. */
  add(name: string, published: PublishedPort[], sshPort: number | null = null): void {
    const runtime = sshPort === null ? null : { sshPort };
    this.vms.push(
      { id: name, config: { name }, state: "running", runtime, published } as unknown as VmRecord,
    );
    for (const { hostPort } of published) this.taken.add(hostPort);
    if (sshPort !== null) this.taken.add(sshPort);
  }

  async bind(...wanted: WantedPort[]): Promise<PublishedPort[]> {
    const bound = await this.ports.bind({ id: "web" as VmId, name: "web" }, wanted);
    return bound.map(({ port }) => port);
  }
}

const wanted = <H extends number | null>(hostPort: H, guestPort: number) => ({
  hostPort,
  guestPort,
});

Deno.test("without a host port it is the guest's number, else one that is easily found", async () => {
  const host = new FakeHost();
  assert.deepEqual(await host.bind(wanted(null, 3000)), [wanted(3000, 3000)]);
  assert.deepEqual(await host.bind(wanted(null, 3000)), [wanted(23_000, 3000)]);
  assert.deepEqual(await host.bind(wanted(null, 80)), [wanted(20_080, 80)]);
  assert.deepEqual(await host.bind(wanted(null, 80)), [wanted(20_081, 80)]);
  // One that is asked for by its number is not taken by one that is not.
  host.add("db", [wanted(5432, 5432)]);
  assert.deepEqual(
    await host.bind(wanted(null, 9999), wanted(9999, 1), wanted(null, 5432)),
    [wanted(29_999, 9999), wanted(9999, 1), wanted(25_432, 5432)],
  );
});

Deno.test("a port that cannot be had is refused with who has it and what next, and none is held", async () => {
  const host = new FakeHost();
  host.add("db", [wanted(5432, 5432)], 40_022);
  host.taken.add(8080);
  const auto = await host.ports.bindAuto("dev", 3000);
  assert.deepEqual(auto?.port, wanted(3000, 3000));
  const before = [...host.taken];
  const refusals: [number, string, RegExp, RegExp][] = [
    [5432, "conflict", /VM "db" publishes it/, /unpublish db 5432:5432, .* 5433:80/],
    [40_022, "conflict", /ssh server of VM "db"/, /40023:80/],
    [3000, "conflict", /--auto-ports of VM "dev"/, /3001:80/],
    [
      8080,
      "conflict",
      /another program listens on port 8080 of 127\.0\.0\.1/,
      /ss -ltnp.* 8081:80/,
    ],
    [80, "precondition", /only root listen/, /8080:80.*ip_unprivileged_port_start/],
  ];
  for (const [port, kind, words, hint] of refusals) {
    await assert.rejects(host.bind(wanted(7000, 70), wanted(port, 80)), (error) => {
      assert.ok(isBangerError(error) && error.kind === kind, String(error));
      assert.match(error.message, new RegExp(`^Cannot publish port ${port} of VM "web": `));
      assert.match(error.message, words);
      assert.match((error as BangerError).hint ?? "", hint);
      return true;
    });
    assert.deepEqual([...host.taken], before);
  }
});

Deno.test("a port belongs to the VM that has it recorded, also while that does not run", async () => {
  const host = new FakeHost();
  host.add("web", [wanted(8080, 80)]);
  host.add("db", [wanted(5432, 5432)]);
  host.taken.clear();
  assert.deepEqual(await host.bind(wanted(8080, 80)), [wanted(8080, 80)]);
  await assert.rejects(host.bind(wanted(5432, 1)), { kind: "conflict" });
  assert.deepEqual((await host.ports.bindAuto("web", 5432))?.port, wanted(25_432, 5432));
});

Deno.test("--auto-ports takes no port below 1024, and no more than a bound", async () => {
  const host = new FakeHost();
  host.isRoot = true;
  const bound: BoundPort[] = [];
  for (let port = 1; port <= portLimits.autoInAll; port++) {
    const one = await host.ports.bindAuto("web", port);
    assert.ok(one !== null && one.port.hostPort >= 1024);
    bound.push(one);
  }
  assert.equal(await host.ports.bindAuto("web", 5000), null);
  bound.pop()?.close();
  assert.deepEqual((await host.ports.bindAuto("web", 5000))?.port, wanted(5000, 5000));
  closeAll(bound);
  assert.deepEqual([...host.taken], [5000]);
});

Deno.test("whatever is asked for, each answer is a port that nobody else has", async () => {
  const port = fc.integer({ min: 1020, max: 1030 });
  const ask = fc.record({ hostPort: fc.option(port), guestPort: port });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(port),
      fc.array(ask, { maxLength: 6 }),
      async (taken, asked) => {
        const host = new FakeHost();
        for (const port of taken) host.taken.add(port);
        const before = new Set(host.taken);
        try {
          const given = await host.bind(...asked);
          assert.equal(new Set(given.map(({ hostPort }) => hostPort)).size, asked.length);
          for (const [at, { hostPort, guestPort }] of given.entries()) {
            assert.equal(guestPort, asked[at]!.guestPort);
            assert.ok(!before.has(hostPort) && host.taken.has(hostPort) && hostPort >= 1024);
            assert.ok([null, hostPort].includes(asked[at]!.hostPort));
          }
        } catch (error) {
          assert.ok(isBangerError(error) && asked.some(({ hostPort }) => hostPort !== null));
          assert.deepEqual(host.taken, before);
        }
      },
    ),
  );
});
