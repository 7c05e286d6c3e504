import * as v from "valibot";
import { fromWireError } from "../api/codec.ts";
import { BangerError } from "../model/errors.ts";
import type { HostProcesses } from "../process/host_processes.ts";
import type { Paths } from "../paths/paths.ts";
import { whenPassed } from "../sync/when_passed.ts";
import { LocalMemoryFiles } from "../vmm/memory_file.ts";
import { selfCommand } from "../version/self_command.ts";
import { type FromWorker, fromWorker, type ToWorker, type WorkerInit } from "./broker_protocol.ts";
import { BrokerServer } from "./broker_server.ts";
import type { BrokerHost } from "./host_facts.ts";
import { localFlattener } from "./local_flattener.ts";
import { LaunchPolicy } from "./launch_policy.ts";
import type { WorkerPermissions } from "./worker_permissions.ts";

/** How long the Worker may take until it serves. */
const readyTimeoutMs = 30_000;
/** How long an orderly end may take. */
const endTimeoutMs = 15_000;

/** What the broker needs. */
export interface BrokerOptions {
  readonly paths: Paths;
  readonly permissions: WorkerPermissions;
  readonly init: WorkerInit;
  readonly processes: HostProcesses;
  readonly host: BrokerHost;
  /** The program's own main module, which starts the Worker's role in a Worker. */
  readonly workerUrl: string;
}

/** The one resident Worker, and what is done for it with full permission. */
export class Broker {
  /** Resolves when the Worker has ended: true after an orderly shutdown. Never rejects. */
  readonly ended: Promise<boolean>;
  readonly #worker: Worker;
  readonly #server: BrokerServer;
  readonly #init: WorkerInit;
  readonly #ready = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<boolean>();
  #isReady = false;

  constructor(options: BrokerOptions) {
    this.ended = this.#over.promise;
    this.#ready.promise.catch(() => {});
    this.#worker = new Worker(options.workerUrl, {
      type: "module",
      name: "services",
      deno: { permissions: options.permissions },
    });
    const parts = {
      processes: options.processes,
      host: options.host,
      memory: new LocalMemoryFiles(),
      flatten: localFlattener(options.paths, selfCommand()),
      policy: new LaunchPolicy(options.paths),
    };
    this.#server = new BrokerServer(parts, (message) => this.#post(message));
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new BangerError("internal", `Cannot serve: the Worker ended: ${event.message}`));
    };
    this.#init = options.init;
  }

  /** Resolves when the socket is served. @throws BangerError why it is not */
  async ready(): Promise<void> {
    whenPassed(readyTimeoutMs, () => {
      if (this.#isReady) return;
      this.#fail(new BangerError("timeout", "Cannot serve: the Worker did not start in time"));
    });
    await this.#ready.promise;
  }

  /** Begins an orderly end; {@linkcode ended} tells when it is over. */
  shutDown(): void {
    if (!this.#isReady) {
      return this.#fail(new BangerError("cancelled", "Stopped: told to end before it served"));
    }
    whenPassed(endTimeoutMs, () => this.#over.resolve(false));
    this.#post({ type: "shutdown" });
  }

  /** Stops the Worker at once. */
  terminate(): void {
    this.#worker.terminate();
    this.#over.resolve(false);
  }

  #receive(data: unknown): void {
    const message = v.safeParse(fromWorker, data);
    if (!message.success) return;
    this.#handle(message.output);
  }

  #handle(message: FromWorker): void {
    switch (message.type) {
      case "loaded":
        return this.#post(this.#init);
      case "ready":
        this.#isReady = true;
        return this.#ready.resolve();
      case "failed":
        return this.#fail(fromWireError(message.error));
      case "ended":
        return this.#over.resolve(message.clean);
      case "call":
        return void this.#server.call({ ...message, argument: message.argument ?? {} });
      case "withdraw":
        return this.#server.withdraw(message.id);
    }
  }

  #fail(error: BangerError): void {
    this.#ready.reject(error);
    this.#over.resolve(false);
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}
