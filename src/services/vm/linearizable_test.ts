/** Random verbs of several clients at once: every answer is one that some order of them explains. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "../../model/errors.ts";
import { createRequest, never, ServiceFixture, silent } from "./testdata/service_fixture.ts";

const names = ["a", "b"] as const;
type Name = typeof names[number];

type Verb =
  | { readonly verb: "create"; readonly vm: Name; readonly start: boolean }
  | { readonly verb: "start" | "stop" | "kill" | "restart"; readonly vm: Name }
  | { readonly verb: "delete"; readonly vm: Name; readonly force: boolean }
  | { readonly verb: "cpus"; readonly vm: Name; readonly cpus: number }
  | { readonly verb: "rename"; readonly vm: Name; readonly to: Name };

/** `ok`, or the kind of the refusal. */
type Answer = string;

/** A VM as the model has it: what can be told from outside when nothing is under way. */
interface ModelVm {
  readonly state: "created" | "running" | "stopped";
  readonly cpus: number;
}
type Model = ReadonlyMap<Name, ModelVm>;

/** The whole behaviour, as a pure function. */
function step(model: Model, given: Verb): readonly [Model, Answer] {
  const vm = model.get(given.vm);
  const set = (name: Name, to: ModelVm): readonly [Model, Answer] => [
    new Map(model).set(name, to),
    "ok",
  ];
  const without = (name: Name) => new Map([...model].filter(([key]) => key !== name));
  if (given.verb === "create") {
    if (vm !== undefined) return [model, "conflict"];
    return set(given.vm, { state: given.start ? "running" : "created", cpus: 2 });
  }
  if (vm === undefined) return [model, "not_found"];
  switch (given.verb) {
    case "start":
    case "restart":
      return set(given.vm, { ...vm, state: "running" });
    case "stop":
    case "kill":
      return vm.state === "running" ? set(given.vm, { ...vm, state: "stopped" }) : [model, "ok"];
    case "delete":
      return vm.state === "running" && !given.force
        ? [model, "conflict"]
        : [without(given.vm), "ok"];
    case "cpus":
      if (vm.state === "running" && vm.cpus !== given.cpus) return [model, "precondition"];
      return set(given.vm, { ...vm, cpus: given.cpus });
    case "rename":
      if (given.to === given.vm) return [model, "ok"];
      if (model.has(given.to)) return [model, "conflict"];
      return [new Map(without(given.vm)).set(given.to, vm), "ok"];
  }
}

/** One verb as it happened: it took effect somewhere between `begun` and `ended`. */
interface Event {
  readonly verb: Verb;
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
      const [next, answer] = step(model, event.verb);
      return answer === event.answer && search(next, left.filter((other) => other !== event));
    });
  };
  return search(new Map(), events);
}

function textOf(model: Model): string {
  return [...model].map(([name, { state, cpus }]) => `${name}:${state}:${cpus}`).sort().join(" ");
}

async function run({ service }: ServiceFixture, given: Verb): Promise<void> {
  const change = {
    name: null,
    cpus: null,
    memoryMib: null,
    diskBytes: null,
    labels: {},
    autoStopMs: "keep" as const,
  };
  switch (given.verb) {
    case "create": {
      const request = createRequest(given.vm, { start: given.start });
      return void await service.create(request, silent, never);
    }
    case "start":
      return void await service.start(given.vm, silent, never);
    case "stop":
    case "kill": {
      const request = { timeoutMs: 1_000, force: given.verb === "kill" };
      return void await service.stop(given.vm, request, silent, never);
    }
    case "restart": {
      const request = { timeoutMs: 1_000, force: false };
      return void await service.restart(given.vm, request, silent, never);
    }
    case "delete":
      return await service.delete(given.vm, given.force, silent, never);
    case "cpus":
      return void await service.set(given.vm, { ...change, cpus: given.cpus }, never);
    case "rename":
      return void await service.set(given.vm, { ...change, name: given.to }, never);
  }
}

const name = fc.constantFrom(...names);
const verb: fc.Arbitrary<Verb> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ verb: fc.constant("create"), vm: name, start: fc.boolean() }),
  },
  fc.record({ verb: fc.constantFrom("start", "stop", "kill", "restart"), vm: name }),
  fc.record({ verb: fc.constant("delete"), vm: name, force: fc.boolean() }),
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
          try {
            await run(fixture, verb);
          } catch (error) {
            if (!isBangerError(error)) throw error;
            answer = error.kind;
          }
          events.push({ verb, answer, begun, ended: clock++ });
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
