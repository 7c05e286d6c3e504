/** Random verbs of several clients at once: every answer is one that some order of them explains. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import { createRequest, never, ServiceFixture, silent } from "./testdata/service_fixture.ts";

const names = ["a", "b"] as const;
type Name = typeof names[number];

/** What a client asks for. A VM is found by its name at that moment, and is the one meant from then on. */
type Verb =
  | { readonly verb: "create"; readonly vm: Name; readonly start: boolean }
  | { readonly verb: "start" | "stop" | "kill" | "restart"; readonly vm: Name }
  | { readonly verb: "delete" | "reset"; readonly vm: Name; readonly force: boolean }
  | { readonly verb: "cpus"; readonly vm: Name; readonly cpus: number }
  | { readonly verb: "rename"; readonly vm: Name; readonly to: Name };

/** `ok`, or the kind of the refusal. */
type Answer = string;

/** A VM as the model has it: what can be told from outside when nothing is under way. */
interface ModelVm {
  readonly name: Name;
  readonly state: "created" | "running" | "stopped";
  readonly cpus: number;
}
type Model = ReadonlyMap<VmId, ModelVm>;

/** The whole behaviour, as a pure function. `id` is of the VM that was found, or made; `null`: none was. */
function step(model: Model, given: Verb, id: VmId | null): readonly [Model, Answer] {
  const isTaken = (name: Name) => [...model.values()].some((other) => other.name === name);
  if (given.verb === "create") {
    if (isTaken(given.vm)) return [model, "conflict"];
    const state = given.start ? "running" : "created";
    return id === null
      ? [model, "not made"]
      : [new Map(model).set(id, { name: given.vm, state, cpus: 2 }), "ok"];
  }
  if (id === null) return [model, isTaken(given.vm) ? "found" : "not_found"];
  const vm = model.get(id);
  if (vm === undefined) return [model, "not_found"];
  const set = (to: Partial<ModelVm>): readonly [Model, Answer] => [
    new Map(model).set(id, { ...vm, ...to }),
    "ok",
  ];
  switch (given.verb) {
    case "start":
    case "restart":
      return set({ state: "running" });
    case "stop":
    case "kill":
      return vm.state === "running" ? set({ state: "stopped" }) : [model, "ok"];
    case "delete":
      return vm.state === "running" && !given.force
        ? [model, "conflict"]
        : [new Map([...model].filter(([key]) => key !== id)), "ok"];
    case "reset":
      // None of them has a work disk.
      if (!given.force) return [model, vm.state === "running" ? "conflict" : "precondition"];
      return vm.state === "running" ? set({ state: "stopped" }) : [model, "ok"];
    case "cpus":
      if (vm.state === "running" && vm.cpus !== given.cpus) return [model, "precondition"];
      return set({ cpus: given.cpus });
    case "rename":
      if (given.to === vm.name) return [model, "ok"];
      return isTaken(given.to) ? [model, "conflict"] : set({ name: given.to });
  }
}

/** One verb as it happened: it took effect somewhere between `begun` and `ended`. */
interface Event {
  readonly verb: Verb;
  readonly id: VmId | null;
  readonly answer: Answer;
  readonly begun: number;
  readonly ended: number;
}

/** Whether some order of the events, none after one that it had ended before, explains answers and end. */
function isExplained(events: readonly Event[], end: string): boolean {
  const seen = new Set<string>();
  const search = (model: Model, left: readonly Event[]): boolean => {
    if (left.length === 0) return textOf(model) === end;
    const key = `${textOf(model)} ${left.map((event) => events.indexOf(event)).join()}`;
    if (seen.has(key)) return false;
    seen.add(key);
    const firstEnd = Math.min(...left.map(({ ended }) => ended));
    return left.some((event) => {
      if (event.begun > firstEnd) return false;
      const [next, answer] = step(model, event.verb, event.id);
      return answer === event.answer && search(next, left.filter((other) => other !== event));
    });
  };
  return search(new Map(), events);
}

function textOf(model: Model): string {
  return [...model.values()].map(({ name, state, cpus }) => `${name}:${state}:${cpus}`).sort()
    .join(" ");
}

/** Does it; answers the id of the VM that a creation made. */
async function run(
  { service }: ServiceFixture,
  given: Verb,
  id: VmId | null,
): Promise<VmId | null> {
  const change = {
    ...{
      name: null,
      cpus: null,
      memoryMib: null,
      diskBytes: null,
      workDiskBytes: null,
      labels: {},
    },
    autoStopMs: "keep" as const,
    command: "keep" as const,
    autoPorts: null,
  };
  if (given.verb === "create") {
    const request = createRequest(given.vm, { start: given.start });
    return (await service.create(request, silent, never)).id;
  }
  if (id === null) throw new BangerError("not_found", "there is none");
  switch (given.verb) {
    case "start":
      await service.start(id, silent, never);
      break;
    case "stop":
    case "kill":
      await service.stop(id, { timeoutMs: 1_000, force: given.verb === "kill" }, silent, never);
      break;
    case "restart":
      await service.restart(id, { timeoutMs: 1_000, force: false }, silent, never);
      break;
    case "delete":
      await service.delete(id, given.force, silent, never);
      break;
    case "reset":
      await service.reset(id, { image: null, force: given.force }, silent, never);
      break;
    case "cpus":
      await service.set(id, { ...change, cpus: given.cpus }, never);
      break;
    case "rename":
      await service.set(id, { ...change, name: given.to }, never);
      break;
  }
  return id;
}

const name = fc.constantFrom(...names);
const verb: fc.Arbitrary<Verb> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ verb: fc.constant("create"), vm: name, start: fc.boolean() }),
  },
  fc.record({ verb: fc.constantFrom("start", "stop", "kill", "restart"), vm: name }),
  fc.record({ verb: fc.constantFrom("delete", "reset"), vm: name, force: fc.boolean() }),
  fc.record({ verb: fc.constant("cpus"), vm: name, cpus: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ verb: fc.constant("rename"), vm: name, to: name }),
) as fc.Arbitrary<Verb>;

Deno.test("whatever several clients do at once, some order of it explains every answer", async () => {
  const clients = fc.array(fc.array(verb, { minLength: 1, maxLength: 4 }), {
    minLength: 2,
    maxLength: 3,
  });
  const pauses = fc.array(fc.nat(3), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(clients, pauses, async (clients, pauses) => {
      using fixture = new ServiceFixture();
      let turn = 0;
      fixture.pause = async () => {
        for (let left = pauses[turn++ % pauses.length]!; left > 0; left--) {
          await new Promise<void>((resolve) => setTimeout(resolve, 0));
        }
      };
      let clock = 0;
      const events: Event[] = [];
      await Promise.all(clients.map(async (verbs) => {
        for (const verb of verbs) {
          const begun = clock++;
          let answer: Answer = "ok";
          let id = verb.verb === "create"
            ? null
            : fixture.store.vms.findByName(verb.vm)?.id ?? null;
          try {
            id = await run(fixture, verb, id);
          } catch (error) {
            if (!isBangerError(error)) throw error;
            answer = error.kind;
          }
          events.push({ verb, id, answer, begun, ended: clock++ });
        }
      }));
      const end = fixture.store.vms.list()
        .map(({ config, state }) => `${config.name}:${state}:${config.cpus}`).sort().join(" ");
      const told = events.map(({ verb, answer }) => `${JSON.stringify(verb)} ${answer}`).join("\n");
      assert.ok(isExplained(events, end), `no order explains this, which left "${end}":\n${told}`);
      assert.deepEqual(fixture.disagreements(), []);
      assert.deepEqual(fixture.warnings, []);
    }),
    { numRuns: 150 },
  );
});
