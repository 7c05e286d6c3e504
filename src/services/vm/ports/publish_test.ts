import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "../../../model/errors.ts";
import { portLimits, type PublishedPort, type WantedPort } from "../../../model/published_port.ts";
import { createRequest, never, ServiceFixture, silent } from "../testdata/service_fixture.ts";

const port = (hostPort: number | null, guestPort: number) => ({ hostPort, guestPort });

/** The host's ports that banger listens on. */
function held({ listening }: ServiceFixture): number[] {
  return [...listening].filter(([, who]) => who === "banger").map(([port]) => port).sort();
}

Deno.test("ports are open while the VM runs, and its own while it does not", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  const publish = [port(8080, 80), port(null, 3000)];
  await service.create(createRequest("web", { publish, start: true }), silent, never);
  assert.deepEqual(fixture.row("web").published, [port(3000, 3000), port(8080, 80)]);
  assert.deepEqual(held(fixture), [3000, 8080]);
  assert.deepEqual(await service.publish("web", [port(null, 22), port(8080, 80)], never), [
    port(22, 22),
    port(8080, 80),
  ]);
  assert.deepEqual(held(fixture), [22, 3000, 8080]);
  await service.stop("web", { timeoutMs: 1000, force: false }, silent, never);
  assert.deepEqual(held(fixture), []);
  await assert.rejects(
    service.create(createRequest("other", { publish: [port(8080, 1)] }), silent, never),
    /VM "web" publishes it/,
  );
  assert.equal(fixture.store.vms.findByName("other"), undefined);
  await service.unpublish("web", [port(null, 80)], never);
  await service.create(createRequest("other", { publish: [port(8080, 1)] }), silent, never);
  await service.start("web", silent, never);
  assert.deepEqual(held(fixture), [22, 3000]);
  await service.delete("web", true, silent, never);
  assert.deepEqual(held(fixture), []);
});

Deno.test("a start whose port is taken starts nothing, and one that fails lets go of it", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  await service.create(createRequest("web", { publish: [port(8080, 80)] }), silent, never);
  fixture.listening.set(8080, "other");
  await assert.rejects(service.start("web", silent, never), { kind: "conflict" });
  assert.deepEqual([fixture.row("web").state, fixture.running.size], ["created", 0]);
  fixture.listening.clear();

  const publish = [port(8081, 81), port(8082, 82), port(null, 83)];
  await service.create(createRequest("db", { publish }), silent, never);
  for (const [number] of [[8081], [8082]] as const) fixture.listening.set(number, "other");
  const taken = (cannot: string) =>
    `${cannot}: port 8081: another program listens on port 8081 of 127.0.0.1; ` +
    "port 8082: another program listens on port 8082 of 127.0.0.1";
  const start = () => service.start("db", silent, never);
  await assert.rejects(start(), { kind: "conflict", message: taken('Cannot start VM "db"') });
  fixture.missing = [{ what: "qemu is not installed", hint: "install it" }];
  const all = `${taken('Cannot start VM "db"')}; qemu is not installed`;
  await assert.rejects(start(), { kind: "precondition", message: all });
  const other = createRequest("other", { publish: [port(8080, 1), port(null, 2)] });
  await assert.rejects(service.create(other, silent, never), {
    kind: "precondition",
    message: 'Cannot start a VM here: port 8080: VM "web" publishes it; qemu is not installed',
    hint: "banger vm ports unpublish web 8080:80, or choose another number: 8081:1\ninstall it",
  });
  assert.deepEqual([held(fixture), fixture.row("db").state], [[], "created"]);
  fixture.missing = [];
  fixture.listening.clear();
  fixture.startFailure = new Error("no");
  await assert.rejects(service.start("web", silent, never), /no/);
  assert.deepEqual(held(fixture), []);
  fixture.startFailure = undefined;
  await service.start("web", silent, never);
  assert.deepEqual(held(fixture), [8080]);
  // It ends by itself.
  fixture.running.get(fixture.row("web").id)!.end({ code: 1 });
  while (fixture.row("web").state !== "stopped") await new Promise((done) => setTimeout(done, 1));
  assert.deepEqual(held(fixture), []);
});

Deno.test("of two that want the same name at once, the one that is refused holds no port", async () => {
  using fixture = new ServiceFixture();
  const create = (guestPort: number) =>
    fixture.service.create(
      createRequest("web", { publish: [port(null, guestPort)], start: true }),
      silent,
      never,
    );
  const made = await Promise.allSettled([create(3000), create(4000)]);
  assert.deepEqual(made.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  assert.deepEqual(held(fixture), fixture.row("web").published.map(numberOf));
});

Deno.test("too many, twice the same, and what is not published are refused", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  await service.create(createRequest("web"), silent, never);
  const many = Array.from({ length: portLimits.published }, (_, at) => port(null, 2000 + at));
  await service.publish("web", many.slice(1), never);
  await service.publish("web", many, never);
  await assert.rejects(service.publish("web", [port(null, 1)], never), { kind: "invalid" });
  await service.unpublish("web", many, never);
  const twice = [port(8080, 80), port(8080, 81)];
  await assert.rejects(service.publish("web", twice, never), /lead to one only/);
  await assert.rejects(
    service.create(createRequest("other", { publish: twice }), silent, never),
    /lead to one only/,
  );
  await service.publish("web", [port(8080, 80)], never);
  for (const unknown of [port(8081, 80), port(null, 81)]) {
    await assert.rejects(service.unpublish("web", [port(8080, 80), unknown], never), {
      kind: "not_found",
    });
  }
  assert.deepEqual(fixture.row("web").published, [port(8080, 80)]);
  assert.throws(() => service.publish("nobody", [port(null, 80)], never), /there is none/);
});

Deno.test("what --auto-ports of the same VM has is not in the way of a published port", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  const request = createRequest("web", { start: true, autoPorts: true });
  const { id } = await service.create(request, silent, never);
  const [guest] = fixture.running.get(id)!.streams;
  guest!.onControl({ control: "listeners", ports: [22, 3000, 4000] });
  const { ports } = service.liveOf(id)!;
  const open = () =>
    ports.list().map(({ hostPort, guestPort, reason }) => `${hostPort}:${guestPort} ${reason}`);
  const until = async (...expected: string[]) => {
    for (let turn = 0; turn < 100 && open().join() !== expected.join(); turn++) {
      await new Promise((done) => setTimeout(done, 1));
    }
    assert.deepEqual(open(), expected);
  };
  await until("3000:3000 auto", "4000:4000 auto");

  fixture.listening.set(8080, "other");
  const refused = [port(null, 3000), port(8080, 80)];
  await assert.rejects(service.publish("web", refused, never), { kind: "conflict" });
  await until("3000:3000 auto", "4000:4000 auto");

  fixture.monotonicMs = 2000;
  await service.publish("web", [port(null, 3000), port(4000, 80)], never);
  await until("3000:3000 published", "4000:80 published", "24000:4000 auto");
  await service.unpublish("web", [port(null, 3000)], never);
  await until("3000:3000 auto", "4000:80 published", "24000:4000 auto");
  const keep = { ...{ name: null, cpus: null, memoryMib: null, diskBytes: null, labels: {} } };
  const same = { workDiskBytes: null, autoStopMs: "keep", command: "keep" } as const;
  const set = { ...keep, ...same, autoPorts: false };
  await service.set("web", set, never);
  await until("4000:80 published");
  assert.deepEqual(held(fixture), [4000]);
});

Deno.test("a guest of an earlier banger is not asked to connect to its ports", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  const { id } = await service.create(createRequest("web", { start: true }), silent, never);
  Object.assign(service.liveOf(id)!.session.welcome, { version: 2 });
  await assert.rejects(service.publish("web", [port(8080, 80)], never), {
    kind: "precondition",
    hint: "banger vm stop web && banger vm start web",
  });
  assert.deepEqual([fixture.row("web").published, held(fixture)], [[], []]);
});

/** What somebody does. */
type Act =
  | { readonly act: "create"; readonly vm: string; readonly ports: WantedPort[]; start: boolean }
  | { readonly act: "publish" | "unpublish"; readonly vm: string; readonly ports: WantedPort[] }
  | { readonly act: "start" | "stop" | "delete" | "die"; readonly vm: string }
  | { readonly act: "take" | "free"; readonly port: number };

const vm = fc.constantFrom("a", "b");
const number = fc.integer({ min: 2000, max: 2003 });
const ports = fc.array(fc.record({ hostPort: fc.option(number), guestPort: number }), {
  minLength: 1,
  maxLength: 3,
});
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ act: fc.constant("create" as const), vm, ports, start: fc.boolean() }),
  fc.record({ act: fc.constantFrom("publish" as const, "unpublish" as const), vm, ports }),
  fc.record({ act: fc.constantFrom("start" as const, "stop" as const), vm }),
  fc.record({ act: fc.constantFrom("delete" as const, "die" as const), vm }),
  fc.record({ act: fc.constantFrom("take" as const, "free" as const), port: number }),
);

async function run(fixture: ServiceFixture, given: Act): Promise<void> {
  const { service, listening } = fixture;
  switch (given.act) {
    case "create": {
      const request = { publish: given.ports, start: given.start };
      await service.create(createRequest(given.vm, request), silent, never);
      return;
    }
    case "publish": {
      const made = await service.publish(given.vm, given.ports, never);
      const row = fixture.row(given.vm).published;
      for (const [at, { hostPort, guestPort }] of made.entries()) {
        const wanted = given.ports[at]!;
        assert.ok(row.some((port) => port.hostPort === hostPort && port.guestPort === guestPort));
        assert.ok([hostPort, null].includes(wanted.hostPort) && guestPort === wanted.guestPort);
      }
      return;
    }
    case "unpublish":
      await service.unpublish(given.vm, given.ports, never);
      return;
    case "start":
      await service.start(given.vm, silent, never);
      return;
    case "stop":
      await service.stop(given.vm, { timeoutMs: 1000, force: false }, silent, never);
      return;
    case "delete":
      await service.delete(given.vm, true, silent, never);
      return;
    case "die": {
      const row = fixture.store.vms.findByName(given.vm);
      fixture.running.get(row!.id)?.end({ code: 1 });
      await service.stop(given.vm, { timeoutMs: 1000, force: true }, silent, never);
      return;
    }
    case "take":
      if (!listening.has(given.port)) listening.set(given.port, "other");
      return;
    case "free":
      if (listening.get(given.port) === "other") listening.delete(given.port);
  }
}

Deno.test("whatever happens, the host's ports are those of the rows of running VMs; what fails changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 20 }), async (acts) => {
      using fixture = new ServiceFixture();
      const rows = () =>
        fixture.store.vms.list().map(({ id, published, state }) => ({ id, published, state }));
      for (const given of acts) {
        const [before, listened] = [rows(), new Map(fixture.listening)];
        try {
          await run(fixture, given);
        } catch (error) {
          if (!isBangerError(error) && given.act !== "die") throw error;
          assert.deepEqual([rows(), fixture.listening], [before, listened], String(error));
        }
        const recorded = fixture.store.vms.list();
        const all = recorded.flatMap(({ published }) => published.map(numberOf));
        assert.equal(new Set(all).size, all.length, "a port of the host is one VM's");
        const open = recorded.filter(({ state }) => state === "running")
          .flatMap(({ published }) => published.map(numberOf));
        assert.deepEqual(held(fixture), open.sort());
      }
    }),
    { numRuns: 300 },
  );
});

function numberOf({ hostPort }: PublishedPort): number {
  return hostPort;
}
