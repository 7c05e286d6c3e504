/**
 * `banger vm run`: boot, copy, run, clean up.
 *
 * Owns the order of these steps and what happens when one of them is cut short. Must not know how
 * the daemon does its part.
 */
import type { VmView } from "../../api/vm.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { StageEvent } from "../../model/stages.ts";
import { type Discovered, discoverRepository } from "../../repository/discover_repository.ts";
import { readGitIdentity } from "../../repository/git_identity.ts";
import { HostGit } from "../../repository/host_git.ts";
import { inspectRepository, type RepositoryContents } from "../../repository/repository.ts";
import { workspaceName } from "../../repository/workspace_name.ts";
import type { CliContext, DaemonPort } from "../context.ts";
import { followOperation } from "../follow_operation.ts";
import { interruptible } from "../interruptible.ts";
import { imageHere } from "../registry_image.ts";
import { StageView } from "../render/stage_view.ts";
import { vmOf } from "../vm_of.ts";
import { type VmOptionsGiven, vmParams } from "../vm_options.ts";
import { announcePorts } from "./announce_ports.ts";
import { checkOutBranch } from "./check_out_branch.ts";
import { copyRepository } from "./copy_repository.ts";
import { removeVm } from "./remove_vm.ts";
import { runInGuest } from "./run_in_guest.ts";
import { timingsTable } from "./timings_table.ts";

/** What `vm run` was told. */
export interface RunRequest extends VmOptionsGiven {
  /** Directory in the repository to copy; `null` copies none. */
  readonly path: string | null;
  readonly branch: string | null;
  /** Delete the VM afterwards. */
  readonly remove: boolean;
  readonly timings: boolean;
  /** Whether variables, directory and user of the image apply in the VM. */
  readonly imageDefaults: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** Empty: a shell, or where the image has none what it runs. */
  readonly command: readonly string[];
}

/**
 * Runs a VM from nothing to its end and resolves to the exit code of what ran in it.
 *
 * @throws BangerError of whatever step failed; nothing is left behind then, unless the guest's
 * command had begun
 */
export async function runVm(context: CliContext, request: RunRequest): Promise<number> {
  const view = new StageView({ err: context.err, nowMs: context.nowMs, silent: context.quiet });
  view.record({ title: "Starting banger", tookMs: context.nowMs(), outcome: "done" });
  const run = new Run(context, request, view);
  try {
    return await run.run();
  } finally {
    view.close();
    run.close();
    if (request.timings) context.err.write(timingsTable(view.records, context.nowMs()));
  }
}

class Run {
  readonly #context: CliContext;
  readonly #request: RunRequest;
  readonly #view: StageView;
  #client: DaemonPort | undefined;

  constructor(context: CliContext, request: RunRequest, view: StageView) {
    this.#context = context;
    this.#request = request;
    this.#view = view;
  }

  close(): void {
    this.#client?.close();
  }

  async run(): Promise<number> {
    const vm = await interruptible(this.#context, (signal) => this.#prepare(signal));
    let code: number;
    try {
      // The terminal is the guest's now.
      this.#view.close();
      const sinceMs = this.#context.nowMs();
      code = await this.#runInGuest(vm);
      const tookMs = this.#context.nowMs() - sinceMs;
      this.#view.record({ title: "Running the command", tookMs, outcome: "done" });
    } catch (error) {
      await this.#finish(vm).catch(() => {});
      throw comeBack(error, vm);
    }
    try {
      await this.#finish(vm);
    } catch (error) {
      throw comeBack(error, vm);
    }
    return code;
  }

  /** Everything up to a VM that is ready for the command; undone when it fails or is interrupted. */
  async #prepare(signal: AbortSignal): Promise<VmView> {
    const vm = await this.#makeReady(signal);
    if (!signal.aborted) return vm;
    // While the last of it was put away.
    await removeVm(this.#connected(), vm, this.#view);
    throw signal.reason;
  }

  async #makeReady(signal: AbortSignal): Promise<VmView> {
    const { env } = this.#context;
    const git = new HostGit({
      home: env["HOME"],
      xdgConfigHome: env["XDG_CONFIG_HOME"],
      sudoUid: env["SUDO_UID"],
    });
    const { path, branch } = this.#request;
    const identity = readGitIdentity(git, signal);
    // Before anything else: without a repository nothing is to be started at all.
    const found = path === null ? null : await this.#discover(git, path, signal);
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const contents = found === null
      ? Promise.resolve(null)
      : inspectRepository(git, found, branch, both).catch((error) => {
        stop.abort(error);
        throw error;
      });
    const booted = this.#boot(found === null ? null : workspaceName(found.root), identity, both);
    const [vm, repository] = await Promise.allSettled([booted, contents]);
    await using _temporary = {
      [Symbol.asyncDispose]: async () => {
        if (repository.status === "fulfilled") await repository.value?.close();
      },
    };
    if (vm.status === "rejected" || repository.status === "rejected") {
      if (vm.status === "fulfilled") await removeVm(this.#connected(), vm.value, this.#view);
      // Whatever the interruption made fail is not its reason.
      signal.throwIfAborted();
      if (repository.status === "rejected") throw repository.reason;
      throw (vm as PromiseRejectedResult).reason;
    }
    try {
      signal.throwIfAborted();
      if (repository.value !== null) await this.#fill(vm.value, repository.value, signal);
    } catch (error) {
      await removeVm(this.#connected(), vm.value, this.#view);
      throw signal.aborted ? signal.reason : error;
    }
    return vm.value;
  }

  async #runInGuest(vm: VmView): Promise<number> {
    const isSilent = !this.#request.autoPorts || this.#context.quiet;
    const announcer = isSilent ? null : announcePorts(this.#context, vm);
    try {
      return await runInGuest(this.#context, vm, this.#request);
    } finally {
      await announcer?.stop();
    }
  }

  async #discover(git: HostGit, path: string, signal: AbortSignal): Promise<Discovered> {
    try {
      return await discoverRepository(git, path, signal);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  }

  async #boot(
    workspace: string | null,
    identity: ReturnType<typeof readGitIdentity>,
    signal: AbortSignal,
  ): Promise<VmView> {
    const { nowMs } = this.#context;
    const sinceMs = nowMs();
    const client = await this.#context.connect({ start: "on_demand", signal });
    this.#client = client;
    const gitIdentity = await identity;
    const tookMs = nowMs() - sinceMs;
    this.#view.record({ title: "Connecting to the daemon", tookMs, outcome: "done" });
    const onEvent = (event: StageEvent) => this.#view.event(event);
    const params = vmParams(this.#request);
    const image = await imageHere(this.#context, client, params.image, onEvent, signal);
    const { operationId } = await client.call("vm.create", {
      ...params,
      image,
      workspace,
      ephemeral: this.#request.remove,
      lease: true,
      start: true,
      imageDefaults: this.#request.imageDefaults,
      gitIdentity,
    }, signal);
    return vmOf(await followOperation(client, operationId, onEvent, signal));
  }

  async #fill(vm: VmView, contents: RepositoryContents, signal: AbortSignal): Promise<void> {
    for (const notice of contents.notices) if (!this.#context.quiet) this.#view.notice(notice);
    await this.#view.stage("Copying the repository", async (progress) => {
      const client = await this.#context.connect({ start: "never", signal });
      await copyRepository(client, { vmId: vm.id, contents, signal, progress }, (text) => {
        if (!this.#context.quiet) this.#view.notice(text);
      });
    });
    if (contents.checkout === null) return;
    const client = await this.#context.connect({ start: "never", signal });
    await checkOutBranch(client, vm.id, contents.checkout, signal);
  }

  /** Deletes the VM, or lets it stay and says how to come back. Signals wait until that is done. */
  async #finish(vm: VmView): Promise<void> {
    const { context, client } = { context: this.#context, client: this.#connected() };
    const undo = context.onSignals(() => {});
    try {
      if (this.#request.remove) await removeVm(client, vm, this.#view);
      else {
        await client.call("vm.release", { vm: vm.id });
        if (!context.quiet) {
          context.err.write(
            `VM "${vm.name}" stays. Come back: banger vm ssh ${vm.name}` +
              ` · remove it: banger vm delete --force ${vm.name}\n`,
          );
        }
      }
    } finally {
      undo();
    }
  }

  #connected(): DaemonPort {
    if (this.#client !== undefined) return this.#client;
    throw new BangerError("internal", "Cannot go on: there is no connection to the daemon");
  }
}

/** When daemon or guest went away, the words say how to come back to this very VM. */
function comeBack(error: unknown, vm: VmView): unknown {
  if (!isBangerError(error, "unavailable")) return error;
  return new BangerError("unavailable", error.message, {
    hint:
      `banger vm list tells whether VM "${vm.name}" still runs; back into it: banger vm ssh ${vm.name}`,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    cause: error,
  });
}
