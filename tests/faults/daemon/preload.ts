/**
 * Stands in front of the built program: `daemon run` becomes a daemon whose effects can go wrong. The program
 * itself is the one that users get, byte for byte; it lies beside this file's bundle.
 */
import { faultEnv, type Order, type Plan, type Report } from "../plan.ts";
import { type FromInjector, Injector } from "./injector.ts";
import { patchDeno, replaceNetwork } from "./patch.ts";
import { killVmms } from "./kill_vmms.ts";

/** The built program; a literal `import()` would be bundled. */
const program = new URL("./main.js", import.meta.url).href;

interface WorkerScope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void, once: object): void;
}

async function inWorker(scope: WorkerScope): Promise<void> {
  const post = (message: FromInjector) => scope.postMessage(message);
  const received = Promise.withResolvers<SharedArrayBuffer>();
  scope.addEventListener("message", ({ data }) => received.resolve(data.memory), { once: true });
  scope.postMessage({ injector: "hello" });
  const injector = new Injector({
    fired: (at, effect) => post({ injector: "fired", at, effect }),
    seen: (at, effect) => post({ injector: "seen", at, effect }),
    die: () => post({ injector: "die" }),
    killVmms: () => post({ injector: "kill_vmms" }),
  }, await received.promise);
  patchDeno(injector);
  await import(program);
}

async function inMain(): Promise<void> {
  const fake = Deno.env.get(faultEnv.program) ?? "";
  const kill = Deno.kill;
  let spared: readonly string[] = [];
  const injector: Injector = new Injector({
    fired: (at, effect) => say({ report: "fired", at, effect }),
    seen: (at, effect) => say({ report: "seen", at, effect }),
    die: () => kill(Deno.pid, "SIGKILL"),
    killVmms: () => {
      killVmms(fake, spared, kill);
      injector.answer();
    },
  });
  const arm = (plan: Plan) => {
    spared = plan.spared;
    injector.arm(plan.fault, plan.at);
  };
  const onMessage = (worker: Worker, message: FromInjector | { readonly injector: "hello" }) => {
    switch (message?.injector) {
      case "hello":
        return worker.postMessage({ memory: injector.memory });
      case "fired":
      case "seen":
        return say({ report: message.injector, at: message.at, effect: message.effect });
      case "die":
        return kill(Deno.pid, "SIGKILL");
      case "kill_vmms":
        killVmms(fake, spared, kill);
        return injector.answer();
    }
  };
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      this.addEventListener("message", ({ data }) => onMessage(this, data));
    }
  };
  replaceNetwork(fake);
  patchDeno(injector);
  injector.setClock(Number(Deno.env.get(faultEnv.hours) ?? 0));
  const plan = Deno.env.get(faultEnv.plan);
  if (plan !== undefined) arm(JSON.parse(plan));
  void takeOrders((order) => {
    if (order.order === "arm") {
      arm(order.plan);
      say({ report: "armed" });
    } else if (order.order === "clock") {
      injector.setClock(order.hours);
      say({ report: "clock" });
    } else {
      say({ report: "disarmed", effects: injector.disarm() });
    }
  }).then(() => kill(Deno.pid, "SIGKILL"));
  await import(program);
}

/** Settles when the harness is gone. */
async function takeOrders(take: (order: Order) => void): Promise<void> {
  let text = "";
  for await (const piece of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (text + piece).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) take(JSON.parse(line));
  }
}

function say(report: Report): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(report)}\n`));
  } catch {
    // The harness is gone.
  }
}

if ("WorkerGlobalScope" in globalThis) await inWorker(self as unknown as WorkerScope);
else await inMain();
