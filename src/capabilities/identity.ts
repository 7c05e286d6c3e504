import { removeSeededInitrd, writeSeededInitrd } from "../kernels/seeded_initrd.ts";
import type { VmPaths } from "../paths/paths.ts";
import type { StartStep, StepContext } from "../services/vm/contract.ts";
import { identityFiles } from "../wire/identity_files.ts";
import type { Identity } from "../wire/messages.ts";
import type { VmId } from "../model/ids.ts";
import type { VmOwner } from "./places.ts";

/** What {@linkcode identityStep} needs. */
export interface IdentityDeps {
  readonly ownerOf: (vm: VmId) => VmOwner;
  /** Public key lines that may log in. */
  readonly authorizedKeys: (signal: AbortSignal) => Promise<readonly string[]>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** `bytes` random bytes in hexadecimal. */
  readonly randomHex: (bytes: number) => string;
}

/**
 * Who the guest is: nothing of that is in its image. It goes with the initrd of this start, so that the guest
 * applies it while its agent starts, and to the agent.
 */
export function identityStep(deps: IdentityDeps): StartStep {
  return {
    name: "identity",
    dependsOn: ["places", "host_key", "network"],
    async start(context) {
      const { vm, facts, paths, bootSet } = context;
      const identity = await identityOf(deps, context);
      const base = bootSet.kernel.initrdPath;
      facts.identity = identity;
      if (base === null) return;
      await writeSeededInitrd(paths.seededInitrd, base, identityFiles(identity));
      const owner = deps.ownerOf(vm.id);
      if (owner !== null) await Deno.chown(paths.seededInitrd, owner.uid, owner.gid);
      facts.initrdPath = paths.seededInitrd;
    },
    stop: (_vm, paths) => removeSeededInitrd(paths.seededInitrd),
  };
}

async function identityOf(deps: IdentityDeps, context: StepContext): Promise<Identity> {
  const { vm, facts, paths, bootSet } = context;
  const network = facts.network;
  return {
    stamp: deps.randomHex(16),
    hostname: vm.config.name,
    machineId: machineId(vm.id),
    clockMs: deps.now(),
    hostKey: await hostKey(paths),
    authorizedKeys: await deps.authorizedKeys(context.signal),
    git: context.gitIdentity,
    network: network === null ? null : {
      mac: network.mac,
      address: network.address,
      gateway: network.gateway,
      dns: network.dns,
    },
    growRoot: vm.config.diskBytes > bootSet.image.virtualBytes,
    workDisk: vm.config.workDiskBytes === 0
      ? null
      : { user: (vm.imageDefaults ? bootSet.image.run?.user : undefined) || null },
  };
}

/** A machine-id(5) that stays the same over restarts of the VM and tells nothing else. */
function machineId(vmId: string): string {
  return `${vmId}${vmId.split("").toReversed().join("")}`;
}

async function hostKey(paths: VmPaths): Promise<Identity["hostKey"]> {
  const [privateKey, publicKey] = await Promise.all([
    Deno.readTextFile(paths.hostKey),
    Deno.readTextFile(`${paths.hostKey}.pub`),
  ]);
  return { privateKey, publicKey: publicKey.trim() };
}
