import * as v from "valibot";
import { type WireError, wireError } from "../api/operation.ts";
import type { Config } from "../config/config.ts";
import { type Digest, isDigest } from "../model/digest.ts";
import { maxPassedFiles } from "../process/launch_command.ts";
import type { PathsInput } from "../paths/paths.ts";
import type { BuildInfo } from "../version/build_info.ts";

/** What the Worker is told at its start. */
export interface WorkerInit {
  readonly type: "init";
  readonly pathsInput: PathsInput;
  readonly config: Config;
  readonly build: BuildInfo;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly logTo: "file" | "terminal" | "journald";
  readonly verbose: boolean;
  /** Rate of the host's time stamp counter in kHz, when it is known. */
  readonly hostTscKhz: number | null;
  /** `http_proxy`, `https_proxy`, `no_proxy` as far as they are set. */
  readonly proxyEnv: Readonly<Record<string, string>>;
}

/** Broker → Worker. */
export type ToWorker =
  | WorkerInit
  | { readonly type: "shutdown" }
  /** What a process that a call started has printed. */
  | { readonly type: "said"; readonly id: number; readonly text: string }
  | { readonly type: "answer"; readonly id: number; readonly result: unknown }
  | { readonly type: "failure"; readonly id: number; readonly error: WireError };

const text = (maxChars: number) =>
  v.pipe(v.string(), v.maxLength(maxChars), v.check((s) => !s.includes("\0"), "NUL"));
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const pid = v.pipe(v.number(), v.safeInteger(), v.minValue(2));
const handle = v.strictObject({ pid, startTicks: whole });
const path = v.pipe(text(4096), v.startsWith("/"));
const digest = v.custom<Digest>(isDigest, "not a digest");
const fileName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/));

/** The calls that the broker answers, with the shape of their argument. Nothing else exists. */
export const brokerCalls = {
  launch: v.strictObject({
    program: v.picklist(["qemu", "passt", "net_filter"]),
    args: v.pipe(v.array(text(64 * 1024)), v.maxLength(512)),
    files: v.pipe(
      v.array(v.strictObject({ path, access: v.picklist(["read", "read_write"]) })),
      v.maxLength(maxPassedFiles),
    ),
    dropTo: v.nullable(v.strictObject({ uid: whole, gid: whole })),
    stderrPath: path,
  }),
  alive: v.strictObject({ handle }),
  signal: v.strictObject({ handle, signal: v.picklist(["SIGTERM", "SIGKILL"]) }),
  exited: v.strictObject({ handle }),
  peerUids: v.strictObject({}),
  makeMemory: v.strictObject({
    paths: v.strictObject({ tmpfs: path, disk: path }),
    memoryMib: v.pipe(whole, v.minValue(1), v.maxValue(1 << 24)),
    owner: v.nullable(v.strictObject({ uid: whole, gid: whole })),
  }),
  memoryProblem: v.strictObject({
    paths: v.strictObject({ tmpfs: path, disk: path }),
    memoryMib: v.pipe(whole, v.minValue(1), v.maxValue(1 << 24)),
  }),
  removeMemory: v.strictObject({ path }),
  flatten: v.strictObject({
    staging: fileName,
    file: fileName,
    purpose: v.picklist(["rootfs", "work_disk"]),
    layers: v.pipe(
      v.array(v.strictObject({ digest, diffId: digest, size: whole })),
      v.maxLength(500),
    ),
    sizeBytes: whole,
    uuid: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
    madeSeconds: v.pipe(v.number(), v.safeInteger()),
  }),
  sealDescriptors: v.strictObject({}),
  bootId: v.strictObject({}),
  vmProcesses: v.strictObject({}),
  rootfsFile: v.strictObject({ path }),
  vmmDevice: v.strictObject({ path: v.literal("/dev/kvm") }),
} as const;

/** Name of a call to the broker. */
export type BrokerCall = keyof typeof brokerCalls;

/** Argument of a call to the broker. */
export type BrokerArgument<C extends BrokerCall> = v.InferOutput<(typeof brokerCalls)[C]>;

/** Worker → broker. */
export const fromWorker = v.variant("type", [
  /** Its code is loaded: it listens from now on (earlier messages would be lost). */
  v.strictObject({ type: v.literal("loaded") }),
  v.strictObject({ type: v.literal("ready") }),
  v.strictObject({ type: v.literal("failed"), error: wireError }),
  v.strictObject({ type: v.literal("ended"), clean: v.boolean() }),
  v.strictObject({
    type: v.literal("call"),
    id: whole,
    call: v.picklist(Object.keys(brokerCalls) as BrokerCall[]),
    argument: v.unknown(),
  }),
  v.strictObject({ type: v.literal("withdraw"), id: whole }),
]);

/** See {@linkcode fromWorker}. */
export type FromWorker = v.InferOutput<typeof fromWorker>;
