import type { StartStep } from "../services/vm/contract.ts";
import { type AgentDeps, agentStep } from "./agent.ts";
import { hostKeyStep, type MakeHostKey } from "./host_key.ts";
import { type IdentityDeps, identityStep } from "./identity.ts";
import { type MachineDeps, machineStep } from "./machine.ts";
import { type NetworkDeps, networkStep } from "./network.ts";
import { placesStep } from "./places.ts";
import { systemDiskStep } from "./system_disk.ts";
import { type WorkDiskDeps, workDiskStep } from "./work_disk.ts";

/** What the steps need of the composition root. */
export interface CapabilityDeps
  extends MachineDeps, NetworkDeps, IdentityDeps, AgentDeps, WorkDiskDeps {
  readonly makeHostKey: MakeHostKey;
}

/** All start steps in order: a step stands behind all that it depends on. */
export function startSteps(deps: CapabilityDeps): readonly StartStep[] {
  return [
    placesStep(deps.ownerOf),
    hostKeyStep(deps.makeHostKey),
    systemDiskStep(),
    workDiskStep(deps),
    networkStep(deps),
    identityStep(deps),
    machineStep(deps),
    agentStep(deps),
  ];
}
