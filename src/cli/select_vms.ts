import type { VmView } from "../api/vm.ts";
import { BangerError } from "../model/errors.ts";
import { hasLabels } from "../model/labels.ts";
import type { VmState } from "../model/vm.ts";
import { type ArgumentSpec, flag } from "./command.ts";
import type { DaemonPort } from "./context.ts";
import { labelFilter, type LabelWanted } from "./label_option.ts";
import { vmArgument, vmReference } from "./vm_reference.ts";

/** The argument of a verb on several VMs, and the options that choose them by what they are. */
export const selection = {
  args: { vms: { ...vmArgument, count: "any" } as const satisfies ArgumentSpec },
  options: {
    all: flag("All VMs, or all with the --label given"),
    label: labelFilter,
  },
};

/** What {@linkcode selection} gave. */
export interface Selected {
  readonly vms: readonly string[];
  readonly all: boolean;
  readonly label: readonly LabelWanted[];
}

/** A VM to do something with: what the daemon is asked for, and what the user calls it. */
export interface Target {
  /** An id, or the words of the user. */
  readonly ref: string;
  readonly name: string;
}

/** Checks what a command line says of its VMs, before the daemon is asked. @throws BangerError `invalid` */
export function checkSelection({ vms, all, label }: Selected): void {
  if (vms.length === 0 && !all && label.length === 0) {
    throw new BangerError("invalid", "Cannot tell which VMs are meant: VM is missing", {
      hint: "Name VMs, or use --all or --label; banger vm list shows what there is",
    });
  }
  if (vms.length > 0 && (all || label.length > 0)) {
    const option = all ? "--all" : "--label";
    throw new BangerError(
      "invalid",
      `Cannot tell which VMs are meant: both "${vms[0]}" and ${option}`,
    );
  }
  vms.forEach(vmReference);
}

/**
 * The VMs that a command line means. Chosen by `--all` or `--label` they are named by id, so that a VM of
 * the same name that comes meanwhile is not meant.
 *
 * @param states of those that are chosen by what they are; all when left out
 */
export async function selectVms(
  client: DaemonPort,
  selected: Selected,
  states?: readonly VmState[],
): Promise<readonly Target[]> {
  if (selected.vms.length > 0) {
    return [...new Set(selected.vms)].map((ref) => ({ ref, name: ref }));
  }
  const { vms } = await client.call("vm.list", {});
  return vms
    .filter((vm) => isMeant(vm, selected.label, states))
    .map(({ id, name }) => ({ ref: id, name }));
}

function isMeant(
  vm: VmView,
  label: readonly LabelWanted[],
  states: readonly VmState[] | undefined,
): boolean {
  return (states === undefined || states.includes(vm.state)) && hasLabels(vm.labels, label);
}
