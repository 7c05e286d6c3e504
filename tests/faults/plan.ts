/**
 * Faults of the daemon: every effect that it has on the host is numbered, and at one of them something
 * goes wrong.
 *
 * `daemon/` runs inside a daemon of the built program, in front of its code; everything else is the
 * harness that starts such daemons, and looks at what they leave. Must not be imported by anything in `src`.
 */

/**
 * What goes wrong at an effect. `kill_before` and `kill_after`: the daemon is killed before it happens, or when it
 * has happened and nobody knows yet; `vmm`: the VMM of the VM under test is killed; `twice`: the same call comes
 * a second time.
 */
export const faults = ["kill_before", "kill_after", "enospc", "eio", "vmm", "twice"] as const;

/** One of {@linkcode faults}. */
export type Fault = typeof faults[number];

/**
 * Kinds of effects: `write` makes or fills a file, `change` alters names or rights, `commit` is a change of the
 * store, `spawn` a program, `rpc` a message to a VMM or a guest, `signal` one to a process, `listen` a port of the host.
 */
export type EffectKind = "write" | "change" | "commit" | "spawn" | "rpc" | "signal" | "listen";

/** Which effects a fault can happen to; only those are numbered for it. */
export const faultKinds: Readonly<Record<Fault, readonly EffectKind[]>> = {
  // Before an effect is mostly the same as after the one before it.
  kill_before: ["commit", "spawn", "rpc", "listen"],
  kill_after: ["write", "change", "commit", "spawn", "rpc", "signal", "listen"],
  enospc: ["write", "commit", "spawn"],
  eio: ["write", "change", "commit", "spawn", "rpc", "listen"],
  // Between two removals nothing is decided.
  vmm: ["write", "commit", "spawn", "rpc", "signal", "listen"],
  twice: ["write", "commit", "spawn", "rpc", "signal", "listen"],
};

/** What is to go wrong. */
export interface Plan {
  readonly fault: Fault;
  /** Number of the effect, from 1; those before it happen as always. 0: nothing goes wrong, and all are told. */
  readonly at: number;
  /** Ids of VMs whose VMMs are not to be killed. */
  readonly spared: readonly string[];
}

/** Harness → daemon, a line of JSON each on its standard input. */
export type Order =
  | { readonly order: "arm"; readonly plan: Plan }
  | { readonly order: "disarm" }
  /** The wall clock of the daemon goes wrong by so much, at once. */
  | { readonly order: "clock"; readonly hours: number };

/** Daemon → harness, a line of JSON each on its standard output. */
export type Report =
  | { readonly report: "armed" }
  | { readonly report: "clock" }
  /** How many effects there were since it was armed. */
  | { readonly report: "disarmed"; readonly effects: number }
  | { readonly report: "seen"; readonly at: number; readonly effect: string }
  | { readonly report: "fired"; readonly at: number; readonly effect: string };

/** Environment of a daemon with faults: the fake VMM's path, and plan and clock that hold from its start. */
export const faultEnv = {
  program: "BANGER_FAULTS_PROGRAM",
  plan: "BANGER_FAULTS_PLAN",
  hours: "BANGER_FAULTS_HOURS",
} as const;
