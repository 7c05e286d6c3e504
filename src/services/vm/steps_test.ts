import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { VmPaths } from "../../paths/paths.ts";
import type { BootSet, StartPlan, StartStep, StepContext } from "./contract.ts";
import { emptyFacts } from "./start.ts";
import { checkSteps, cleanupAll, preflight, prepareAll, startAll, stopAll } from "./steps.ts";

const id = "0123456789abcdef" as VmId;
const paths = {} as VmPaths;

function contextWith(signal: AbortSignal): StepContext {
  return {
    vm: { id } as StepContext["vm"],
    paths,
    bootSet: {} as BootSet,
    isNew: false,
    facts: emptyFacts(),
    attempt: 1,
    gitIdentity: null,
    reporter: { stage: (_stage, body) => body(() => {}), notice: () => {} },
    signal,
  };
}

/** Steps `0…n-1` with random earlier dependencies, which log what happens to them. */
function loggingSteps(dependencies: readonly (readonly number[])[], log: string[]): StartStep[] {
  return dependencies.map((earlier, index) => ({
    name: String(index),
    dependsOn: [...new Set(earlier.filter((one) => one < index))].map(String),
    prepare: () => Promise.resolve(void log.push(`prepare ${index}`)),
    start: async () => {
      log.push(`start ${index}`);
      await Promise.resolve();
      log.push(`started ${index}`);
    },
    stop: () => Promise.resolve(void log.push(`stop ${index}`)),
    cleanup: () => Promise.resolve(void log.push(`cleanup ${index}`)),
  }));
}

const graphs = fc.integer({ min: 1, max: 8 }).chain((n) =>
  fc.tuple(
    fc.array(fc.array(fc.nat(n), { maxLength: 3 }), { minLength: n, maxLength: n }),
    fc.nat(n - 1),
  )
);

Deno.test("a step starts only after all that it depends on", async () => {
  await fc.assert(fc.asyncProperty(graphs, async ([dependencies]) => {
    const log: string[] = [];
    const steps = loggingSteps(dependencies, log);
    checkSteps(steps);
    await startAll(steps, contextWith(new AbortController().signal));
    for (const step of steps) {
      const at = log.indexOf(`prepare ${step.name}`);
      for (const earlier of step.dependsOn) {
        assert.ok(log.indexOf(`started ${earlier}`) < at);
      }
    }
  }));
});

Deno.test("when any step fails, every step is stopped, in reverse order, after all have settled", async () => {
  await fc.assert(fc.asyncProperty(graphs, async ([dependencies, broken]) => {
    const log: string[] = [];
    const steps = loggingSteps(dependencies, log).map((step, index) =>
      index === broken
        ? {
          ...step,
          start: () => Promise.reject(new BangerError("internal", "Cannot start: broken")),
        }
        : step
    );
    await assert.rejects(
      startAll(steps, contextWith(new AbortController().signal)),
      /Cannot start: broken/,
    );
    const stops = log.filter((line) => line.startsWith("stop "));
    assert.deepEqual(stops, steps.map((step) => `stop ${step.name}`).toReversed());
    assert.equal(log.indexOf(stops[0]!), log.length - stops.length);
  }));
});

Deno.test("an abort ends the start with the abort's reason and undoes it", async () => {
  const log: string[] = [];
  const stop = new AbortController();
  const steps: StartStep[] = [
    {
      name: "waits",
      dependsOn: [],
      start: (context) =>
        new Promise((_resolve, reject) =>
          context.signal.addEventListener("abort", () => reject(context.signal.reason))
        ),
      stop: () => Promise.resolve(void log.push("stopped")),
    },
    { name: "never", dependsOn: ["waits"], start: () => Promise.resolve(void log.push("ran")) },
  ];
  const started = startAll(steps, contextWith(stop.signal));
  stop.abort(new BangerError("cancelled", "Stopped: asked to"));
  await assert.rejects(started, /asked to/);
  assert.deepEqual(log, ["stopped"]);
});

Deno.test("teardown goes on after a failure and names every step that failed", async () => {
  const log: string[] = [];
  const steps = loggingSteps([[], [], []], log);
  const broken = steps.map((step, index) =>
    index === 1 ? { ...step, stop: () => Promise.reject(new Error("busy")) } : step
  );
  await assert.rejects(stopAll(broken, id, paths), /Cannot stop every part: 1 \(busy\)/);
  assert.deepEqual(log, ["stop 2", "stop 0"]);
  log.length = 0;
  await cleanupAll(steps, id, paths);
  assert.deepEqual(log, ["cleanup 2", "cleanup 1", "cleanup 0"]);
});

Deno.test("prepareAll runs no start hook", async () => {
  const log: string[] = [];
  await prepareAll(loggingSteps([[], [0]], log), contextWith(new AbortController().signal));
  assert.deepEqual(log, ["prepare 0", "prepare 1"]);
});

const plan: StartPlan = {
  name: "web",
  paths,
  memoryMib: 512,
  workDiskBytes: 0,
  isNew: false,
  bootSet: null,
  needsRoom: true,
};

Deno.test("preflight reports all that is missing at once, each hint once", async () => {
  const missing = (what: string, hint = `install ${what}`): StartStep => ({
    name: what,
    dependsOn: [],
    preflight: ({ memoryMib }) =>
      Promise.resolve([{ what: `${what} is missing for ${memoryMib}`, hint }]),
  });
  const steps = [missing("qemu"), missing("passt"), missing("tap", "install passt")];
  const known = new BangerError("precondition", 'Cannot use image "i": its image is gone', {
    hint: "pull it",
  });
  const words = "its image is gone; qemu is missing for 512; passt is missing for 512; " +
    "tap is missing for 512";
  for (const isNew of [true, false]) {
    await assert.rejects(
      preflight(steps, { ...plan, isNew }, [{ error: known }]),
      (error: BangerError) =>
        error.kind === "precondition" &&
        error.message === `Cannot start ${isNew ? "a VM here" : 'VM "web"'}: ${words}` &&
        error.hint === "pull it\ninstall qemu\ninstall passt",
    );
  }
  await preflight([], plan);
  await assert.rejects(preflight([], plan, [{ error: known }]), (error) => error === known);
  const taken = new BangerError("conflict", 'Cannot publish port 80 of VM "web": VM "db" has it');
  const ports = [80, 81].map((port) => ({ error: taken, about: `port ${port}` }));
  const both = 'port 80: VM "db" has it; port 81: VM "db" has it';
  await assert.rejects(preflight([], plan, ports), {
    kind: "conflict",
    message: `Cannot start VM "web": ${both}`,
  });
  await assert.rejects(preflight([], plan, [{ error: known }, ...ports]), {
    kind: "precondition",
    message: `Cannot start VM "web": its image is gone; ${both}`,
  });
});

Deno.test("a list with a duplicate or a forward dependency is refused", () => {
  const step = (name: string, ...dependsOn: string[]): StartStep => ({ name, dependsOn });
  assert.throws(() => checkSteps([step("a"), step("a")]), /two start steps/);
  assert.throws(() => checkSteps([step("a", "b"), step("b")]), /not earlier/);
});
