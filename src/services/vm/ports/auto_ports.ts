import type { AgentSession } from "../../../guest/agent_session.ts";
import type { WantedPort } from "../../../model/published_port.ts";
import { sshPort } from "../../../wire/messages.ts";
import type { MuxStream } from "../../../wire/mux_stream.ts";
import { listenersControl } from "../../../wire/port_watch.ts";
import { AutoPlan } from "./auto_plan.ts";
import type { BoundPort } from "./bound_port.ts";
import type { RunningPorts } from "./running_ports.ts";

/** What {@linkcode AutoPorts} needs. */
export interface AutoPortsDeps {
  readonly session: Pick<AgentSession, "open">;
  readonly ports: Pick<RunningPorts, "list" | "open" | "close">;
  /** Holds a port of the host for one of the guest; `null`: there is none. */
  readonly bind: (guestPort: number) => Promise<BoundPort | null>;
  /** Milliseconds since any fixed point. */
  readonly monotonicMs: () => number;
}

/**
 * Forwards what listens in a running guest, as its agent says: opened when a listener comes, closed some time
 * after it has gone, within the bounds of {@linkcode AutoPlan} whatever the guest says. Costs nothing on the
 * host until the guest says something.
 */
export class AutoPorts {
  readonly #deps: AutoPortsDeps;
  readonly #plan: AutoPlan;
  #stream: MuxStream | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;
  /** Steps are done one after the other, and never more than one waits. */
  #isStepping = false;
  #isStepWanted = false;

  /** @throws BangerError `unavailable` when the session has ended */
  constructor(deps: AutoPortsDeps) {
    this.#deps = deps;
    this.#plan = new AutoPlan((port) => port === sshPort || this.#isPublished(port));
    this.follow(deps.session);
  }

  /**
   * Listens to what the guest says over `session` from now on: the one before has broken.
   *
   * @throws BangerError `unavailable` when this one has ended as well
   */
  follow(session: Pick<AgentSession, "open">): void {
    if (this.#isStopped) return;
    const stream = session.open({ method: "watch_ports" });
    this.#stream = stream;
    stream.onControl = (message) => {
      const said = listenersControl(message);
      if (said === null || this.#isStopped || this.#stream !== stream) return;
      this.#plan.observe(said.ports, this.#deps.monotonicMs());
      this.look();
    };
  }

  /** Closes what is in the way of a port that is to be published; {@linkcode look} is to follow. */
  giveWay(wanted: WantedPort): void {
    for (const { reason, hostPort, guestPort } of this.#deps.ports.list()) {
      if (reason !== "auto") continue;
      if (hostPort !== wanted.hostPort && guestPort !== wanted.guestPort) continue;
      this.#deps.ports.close(hostPort);
      this.#plan.forget(guestPort);
    }
  }

  /** Looks again: what is published has changed, or was to. */
  look(): void {
    clearTimeout(this.#timer);
    this.#isStepWanted = true;
    if (!this.#isStepping) void this.#steps();
  }

  /** Closes what it has opened. Idempotent. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#stream?.reset("not wanted any more");
    for (const { reason, hostPort } of this.#deps.ports.list()) {
      if (reason === "auto") this.#deps.ports.close(hostPort);
    }
  }

  async #steps(): Promise<void> {
    this.#isStepping = true;
    while (this.#isStepWanted && !this.#isStopped) {
      this.#isStepWanted = false;
      await this.#step();
    }
    this.#isStepping = false;
  }

  async #step(): Promise<void> {
    const { ports } = this.#deps;
    const { open, close, againMs } = this.#plan.next(this.#deps.monotonicMs());
    for (const port of close) {
      for (const { reason, hostPort, guestPort } of ports.list()) {
        if (reason === "auto" && guestPort === port) ports.close(hostPort);
      }
    }
    for (const port of open) {
      const bound = await this.#deps.bind(port);
      if (this.#isStopped) {
        bound?.close();
        return;
      }
      if (bound === null) this.#plan.failed(port);
      else ports.open(bound, "auto");
    }
    clearTimeout(this.#timer);
    if (againMs !== null) this.#timer = setTimeout(() => this.look(), Math.max(1, againMs));
  }

  #isPublished(port: number): boolean {
    return this.#deps.ports.list().some(({ reason, guestPort }) =>
      reason === "published" && guestPort === port
    );
  }
}
