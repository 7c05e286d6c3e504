/**
 * What the tests of the CLI use in place of a daemon, a guest and a terminal.
 *
 * The "guest" is this host: its commands are real processes, with `/root` moved to a temporary
 * directory. Must not be imported by anything but tests.
 */
import type { MethodName, ParamsOf, ResultOf, UpgradingMethod } from "../../api/methods.ts";
import type { OperationView } from "../../api/operation.ts";
import type { VmPort, VmView } from "../../api/vm.ts";
import { BangerError } from "../../model/errors.ts";
import type { StageEvent } from "../../model/stages.ts";
import type { ByteLink } from "../../wire/link.ts";
import { memoryLinks } from "../../wire/memory_link.ts";
import { Mux, runMux } from "../../wire/mux.ts";
import type { MuxStream } from "../../wire/mux_stream.ts";
import type { DaemonPort } from "../context.ts";

/** A VM with every field set. */
export function vmViewOf(given: Partial<VmView> = {}): VmView {
  return {
    id: "00112233445566aa",
    name: "web",
    state: "running",
    failure: null,
    image: "debian-bookworm",
    kernel: "debian-6.1-cloud",
    cpus: 2,
    memoryMib: 2048,
    diskBytes: 8 * 1024 ** 3,
    labels: {},
    autoStopMs: null,
    command: null,
    published: [],
    autoPorts: false,
    diskUsedBytes: 200 * 1024 ** 2,
    workDiskBytes: 8 * 1024 ** 3,
    workDiskUsedBytes: 1024 ** 2,
    ephemeral: false,
    workspace: null,
    createdAtMs: 1_700_000_000_000,
    startedAtMs: 1_700_000_001_000,
    vmm: "qemu",
    accelerator: "tcg",
    sshPort: 40022,
    readyAfterMs: 2900,
    ...given,
  };
}

/** Answers the methods that tests use and remembers the calls. */
export class FakeDaemon {
  /** Directory that stands for the guest's root. */
  readonly guestRoot: string;
  readonly calls: { readonly method: string; readonly params: unknown }[] = [];
  vms: VmView[] = [];
  ports: VmPort[] = [];
  /** What it answers to `vm.publish`. */
  published: VmView["published"] = [];
  /** What it answers to `vm.forwards`, one after the other. */
  forwards: unknown[] = [];
  /** Set: creating a VM takes until it is cancelled. */
  bootForever = false;
  /** Called when the VM is asked for. */
  onCreate: () => void = () => {};
  /** Set: a command in the guest is never answered; this is called when one is asked for. */
  onExec: (() => void) | undefined;
  /** Called when a command in the guest has been granted, and nobody was told yet. */
  onUpgraded: () => void = () => {};
  /** Set: every call is refused with it. */
  refusal: BangerError | undefined;
  openLinks = 0;
  readonly #operations = new Map<string, Promise<OperationView>>();
  readonly #cancels = new Map<string, () => void>();

  constructor(guestRoot: string) {
    this.guestRoot = guestRoot;
  }

  /** The methods that were called, in order. */
  get methods(): readonly string[] {
    return this.calls.map(({ method }) => method);
  }

  /** A connection to it. */
  port(): DaemonPort {
    return {
      call: (method, params, signal) => until(this.#call(method, params), signal),
      watch: async (id, onEvent) => {
        for (const event of stages) onEvent(event);
        const view = await this.#operations.get(id);
        if (view === undefined) throw new BangerError("not_found", "no such operation");
        return view;
      },
      upgrade: <M extends UpgradingMethod>(
        method: M,
        params: ParamsOf<M>,
        signal?: AbortSignal,
      ) => {
        this.calls.push({ method, params });
        if (this.onExec !== undefined) {
          this.onExec();
          return until(new Promise<never>(() => {}), signal);
        }
        const result = { upgraded: "banger-mux/1" } as ResultOf<M>;
        this.onUpgraded();
        return Promise.resolve({
          result,
          link: this.#guestLink("workspace" in params ? params.workspace : "none"),
        });
      },
      close: () => {},
    };
  }

  #call<M extends MethodName>(method: M, params: ParamsOf<M>): Promise<ResultOf<M>> {
    this.calls.push({ method, params });
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    return Promise.resolve(this.#answer(method, params as Record<string, unknown>) as ResultOf<M>);
  }

  #answer(method: MethodName, params: Record<string, unknown>): unknown {
    switch (method) {
      case "vm.list":
        return { vms: this.vms };
      case "vm.overview":
        return {
          groups: this.vms,
          vms: this.vms.map(({ name, createdAtMs }, index) => [name, createdAtMs, index]),
        };
      case "vm.show": {
        const vm = this.vms.find(({ name, id }) => params["vm"] === name || params["vm"] === id);
        if (vm !== undefined) return { vm };
        throw new BangerError("not_found", `Cannot show VM "${params["vm"]}": there is none`, {
          hint: "banger vm list",
        });
      }
      case "vm.create": {
        this.onCreate();
        const workspace = params["workspace"] as string | null;
        const vm = vmViewOf({ workspace, name: String(params["name"] ?? workspace ?? "vm-1") });
        return { operationId: this.#begin(vm, this.bootForever) };
      }
      case "vm.delete": {
        const operationId = this.#begin(vmViewOf(), false);
        this.vms = [];
        return { operationId };
      }
      case "vm.start":
      case "vm.stop":
      case "vm.restart": {
        const { vms } = this;
        const vm = vms.find(({ name, id }) => params["vm"] === name || params["vm"] === id);
        if (vm === undefined) throw new BangerError("not_found", `Cannot find "${params["vm"]}"`);
        const operationId = this.#begin(vm, false);
        this.vms = vms;
        return { operationId };
      }
      case "vm.forwards":
        // When all have been told, none changes any more.
        return this.forwards.shift() ?? new Promise(() => {});
      case "vm.ports":
        return { ports: this.ports };
      case "vm.publish":
        return { published: this.published };
      case "vm.unpublish":
        return { removed: [] };
      case "vm.set":
        return { vm: vmViewOf({ name: String(params["vm"]) }) };
      case "operation.cancel":
        this.#cancels.get(String(params["id"]))?.();
        return {};
      case "vm.release":
        return {};
      default:
        throw new BangerError("internal", `${method} is not faked`);
    }
  }

  #begin(vm: VmView, forever: boolean): string {
    const id = (this.#operations.size + 1).toString(16).padStart(16, "0");
    const done = operationOf(id, "succeeded", { vm, timings: [] });
    this.#operations.set(
      id,
      forever
        ? new Promise((resolve) =>
          this.#cancels.set(id, () => resolve(operationOf(id, "cancelled", null)))
        )
        : Promise.resolve(done),
    );
    if (!forever) this.vms = [vm];
    return id;
  }

  #guestLink(workspace: ParamsOf<"vm.exec">["workspace"]): ByteLink {
    const [ours, theirs] = memoryLinks();
    this.openLinks += 1;
    const mux = new Mux(theirs, {
      side: "acceptor",
      onStream: (stream) =>
        void this.#serve(stream, workspace).catch(() => stream.reset("fake guest")),
    });
    void runMux(theirs, mux).then(() => this.openLinks -= 1);
    return ours;
  }

  async #serve(
    stream: MuxStream,
    workspace: ParamsOf<"vm.exec">["workspace"],
  ): Promise<void> {
    const { exec } = stream.request as {
      exec: { argv: string[]; cwd: string | null; env: object };
    };
    const at = (word: string) =>
      word.replaceAll("/.banger/bin/busybox", "/usr/bin/busybox")
        .replace(/^\/root/, `${this.guestRoot}/root`);
    const [program = "", ...args] = exec.argv.map(at);
    const name = this.vms[0]?.workspace ?? null;
    const dir = name === null || workspace === "none" ? "/root" : `/root/${name}`;
    const place = { BANGER_WORKSPACE: at(dir), BANGER_WORKSPACE_OWNER: "0:0" };
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, {
        args,
        cwd: workspace === "new" ? "/" : at(exec.cwd ?? dir),
        env: { ...workspace === "new" ? place : {}, ...exec.env },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      const kind = error instanceof Deno.errors.NotFound ? "not_found" : "not_executable";
      stream.close({ ok: false, kind, message: `${program}: ${kind}` });
      return;
    }
    stream.onControl = (message) => {
      child.kill(`SIG${(message as { signal: string }).signal}` as Deno.Signal);
    };
    void stream.ended.then(() => kill(child));
    void feed(stream, child);
    const pump = async (source: ReadableStream<Uint8Array>, channel: 0 | 1) => {
      for await (const bytes of source) await stream.write(bytes, channel);
    };
    const output = await Promise.allSettled([pump(child.stdout, 0), pump(child.stderr, 1)]);
    const { code, signal } = await child.status;
    if (output.some(({ status }) => status === "rejected")) return;
    const number = signal === null ? 0 : signals[signal] ?? 1;
    const exit = signal === null ? { how: "exited", code } : { how: "signaled", signal: number };
    stream.close({ ok: true, result: { method: "exec", exit } });
  }
}

/** `answer`, unless nobody waits for it any more. */
async function until<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await answer;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([answer, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

const signals: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15, SIGHUP: 1 };

const stages: readonly StageEvent[] = [
  { type: "stage_started", stage: { id: "vm.boot", title: "Booting the VM" }, atMs: 0 },
  { type: "stage_finished", stageId: "vm.boot", atMs: 2900, tookMs: 2900, outcome: "done" },
];

async function feed(stream: MuxStream, child: Deno.ChildProcess): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    for (let bytes = await stream.read(0); bytes !== null; bytes = await stream.read(0)) {
      await writer.write(bytes);
    }
    await writer.close();
  } catch {
    await writer.abort().catch(() => {});
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
}

function operationOf(id: string, state: OperationView["state"], result: unknown): OperationView {
  return {
    id,
    method: "vm.create",
    subject: "web",
    state,
    startedAtMs: 0,
    finishedAtMs: 1,
    stages: [],
    notices: [],
    result,
    error: null,
  };
}
