import assert from "node:assert/strict";
import { signOfLife, timerComplaint } from "../guest/kit_init.ts";
import { isBangerError } from "../model/errors.ts";
import { maxStartAttempts, type StepContext, unsoundMachineCode } from "../services/vm/contract.ts";
import { emptyFacts } from "../services/vm/start.ts";
import type { GuestLink, Machine } from "../vmm/contract.ts";
import { agentStep } from "./agent.ts";

const bootTimeoutMs = 300;

/** A start that waits for a guest which never answers and has printed `console`. */
function waiting(
  console: string,
  given: Partial<Pick<StepContext, "attempt">> & {
    ended?: boolean;
    accelerator?: "tcg" | "kvm";
  } = {},
): Promise<unknown> {
  const link = new SilentLink();
  const exit = { code: 0, signal: null, stderr: "" };
  const machine = {
    ended: given.ended ? Promise.resolve(exit) : new Promise(() => {}),
    openAgentLink: () => Promise.resolve(link),
    readConsole: () => Promise.resolve(new TextEncoder().encode(console)),
  } as unknown as Machine;
  const context = {
    vm: { config: { name: "web" } },
    facts: { ...emptyFacts(), machine, accelerator: given.accelerator ?? "tcg" },
    attempt: given.attempt ?? 1,
    reporter: {
      stage: (_stage: unknown, body: (progress: () => void) => unknown) => body(() => {}),
    },
    signal: new AbortController().signal,
  } as unknown as StepContext;
  const deps = { bootTimeoutMs, lifelessAfterMs: 20, now: () => 0, randomHex: () => "00" };
  return agentStep(deps).start!(context);
}

/** A link on which nothing ever comes. */
class SilentLink implements GuestLink {
  readonly #closed = Promise.withResolvers<null>();
  read = () => this.#closed.promise;
  write = () => Promise.resolve();
  close = () => this.#closed.resolve(null);
}

function unsound(error: unknown): boolean {
  return isBangerError(error) && error.code === unsoundMachineCode;
}

function timeout(error: unknown): boolean {
  return isBangerError(error) && error.kind === "timeout" && error.code === undefined;
}

Deno.test("a guest that complains of its timer is to be started again", async () => {
  await assert.rejects(waiting(`...\n${timerComplaint}: 3 for 5\n`, { ended: true }), unsound);
});

Deno.test("a guest without a sign of life is given up early, but not in the last attempt or with KVM", async () => {
  await assert.rejects(waiting("[    0.6] booting"), unsound);
  await assert.rejects(waiting("[    0.6] booting", { attempt: maxStartAttempts }), timeout);
  await assert.rejects(waiting("[    0.6] booting", { accelerator: "kvm" }), timeout);
});

Deno.test("a guest that lives has the whole boot timeout", async () => {
  await assert.rejects(waiting(`${signOfLife}\n`), timeout);
});
