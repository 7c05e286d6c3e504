import { DaemonClient } from "../../src/client/daemon_client.ts";
import { memorySettings } from "../../src/client/start_daemon.ts";
import type { Paths } from "../../src/paths/paths.ts";
import { connectUnix } from "../../src/transport/unix_client.ts";
import { runFlags } from "../../src/version/run_flags.ts";
import { faultEnv, type Order, type Plan, type Report } from "./plan.ts";

/** Bounds, in milliseconds. */
const limits = { serves: 15_000, ends: 10_000, answers: 10_000 } as const;
const retryMs = 4;

/** What an armed fault came to. */
export interface Fired {
  readonly at: number;
  /** The effect that it happened to. */
  readonly effect: string;
}

/** A daemon of the built program, as a process of its own, whose effects can go wrong. */
export class FaultDaemon {
  readonly #child: Deno.ChildProcess;
  readonly #paths: Paths;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #errors: Promise<string>;
  readonly ended: Promise<Deno.CommandStatus>;
  #waiting: { readonly report: Report["report"]; readonly resolve: (report: Report) => void }[] =
    [];
  #fired = Promise.withResolvers<Fired>();
  #lastFired: Fired | undefined;
  #seen: (string | undefined)[] = [];
  isOver = false;

  /** Starts it; with `plan` it is armed from its first effect on, and its clock is wrong by `hours`. Does not wait. */
  constructor(appDir: string, paths: Paths, program: string, plan?: Plan, hours = 0) {
    this.#paths = paths;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...runFlags, "--no-code-cache", `${appDir}/preload.js`, "daemon", "run"],
      clearEnv: true,
      env: {
        ...{ HOME: paths.home, PATH: "/usr/local/bin:/usr/bin:/bin", DENO_DIR: `${appDir}/cache` },
        ...memorySettings,
        ...{ DENO_NO_UPDATE_CHECK: "1", [faultEnv.program]: program },
        [faultEnv.hours]: String(hours),
        ...(plan === undefined ? {} : { [faultEnv.plan]: JSON.stringify(plan) }),
      },
      cwd: "/",
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reading = this.#read();
    this.#errors = new Response(this.#child.stderr).text();
    this.ended = this.#child.status.then((status) => {
      this.isOver = true;
      return status;
    });
    this.#writer.closed.catch(() => {});
  }

  /** Pid of the process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The fault that happened since the last arming, if one did. */
  get fired(): Fired | undefined {
    return this.#lastFired;
  }

  /** All effects since the last arming, in their order, where the plan was to tell them; `undefined`: one of them did not come. */
  get seen(): readonly (string | undefined)[] {
    return this.#seen;
  }

  /** Resolves when the armed fault happens. */
  untilFired(): Promise<Fired> {
    return this.#fired.promise;
  }

  /** A connection, as soon as it serves; `undefined` when it ended before. @throws Error when it hangs */
  async connect(): Promise<DaemonClient | undefined> {
    const endMs = performance.now() + limits.serves;
    while (performance.now() < endMs) {
      if (this.isOver) return undefined;
      try {
        return new DaemonClient(await connectUnix(this.#paths.daemonSocket));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
    throw new Error(`the daemon does not serve within ${limits.serves} ms`);
  }

  /** From now on the planned effect goes wrong. */
  async arm(plan: Plan): Promise<void> {
    this.#lastFired = undefined;
    this.#seen = [];
    this.#fired = Promise.withResolvers();
    await this.#order({ order: "arm", plan }, "armed");
  }

  /** Nothing goes wrong any more. */
  async disarm(): Promise<void> {
    if (!this.isOver) await this.#order({ order: "disarm" }, "disarmed");
  }

  /** From now on its wall clock is wrong by so many hours. */
  async setClock(hours: number): Promise<void> {
    await this.#order({ order: "clock", hours }, "clock");
  }

  /** Kills it as nothing can be killed more. */
  async kill(): Promise<void> {
    if (!this.isOver) this.#child.kill("SIGKILL");
    await this.finish();
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    if (!this.isOver) this.#child.kill("SIGTERM");
    await this.finish();
  }

  /** Waits for its end, `ms` milliseconds at most. */
  async endedWithin(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([this.ended, over]);
    clearTimeout(timer);
  }

  /** Waits for its end. Answers what it said on stderr. */
  async finish(): Promise<string> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), limits.ends);
    await this.ended;
    clearTimeout(timer);
    await this.#writer.close().catch(() => {});
    await this.#reading;
    return await this.#errors;
  }

  async #order(order: Order, report: Report["report"]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.push({ report, resolve });
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`)).catch(
      () => {},
    );
    const timer = setTimeout(() => resolve(undefined), limits.answers);
    await Promise.race([promise, this.ended]);
    clearTimeout(timer);
  }

  async #read(): Promise<void> {
    let text = "";
    for await (const piece of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + piece).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line));
    }
  }

  #take(report: Report): void {
    if (report.report === "fired") {
      this.#lastFired = { at: report.at, effect: report.effect };
      this.#fired.resolve(this.#lastFired);
      return;
    }
    if (report.report === "seen") {
      this.#seen[report.at - 1] = report.effect;
      return;
    }
    const waiting = this.#waiting.find((one) => one.report === report.report);
    this.#waiting = this.#waiting.filter((one) => one !== waiting);
    waiting?.resolve(report);
  }
}
