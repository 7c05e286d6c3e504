import type { VmView } from "../../api/vm.ts";
import { BangerError } from "../../model/errors.ts";
import { hasLabels } from "../../model/labels.ts";
import { type VmState, vmStates } from "../../model/vm.ts";
import { defineCommand, flag, type ListSpec, value } from "../command.ts";
import type { CliContext, DaemonPort } from "../context.ts";
import { labelFilter, type LabelWanted } from "../label_option.ts";
import { jsonText } from "../render/json_text.ts";
import { overviewOf, vmTable } from "../render/vm_table.ts";
import { suggest } from "../suggest.ts";
import { watchText } from "../watch_text.ts";
import { withDaemon } from "../with_daemon.ts";

const stateFilter: ListSpec<VmState> = {
  kind: "list",
  placeholder: "STATE",
  summary: "Those in this state; may be given again, then in any of them",
  parse: (text) => {
    const state = vmStates.find((known) => known === text);
    if (state !== undefined) return state;
    const near = suggest(text, vmStates);
    throw new BangerError(
      "invalid",
      `Cannot list VMs in state ${JSON.stringify(text)}: there is none`,
      {
        hint: near === undefined ? `States are: ${vmStates.join(", ")}` : `Did you mean ${near}?`,
      },
    );
  },
};

/** Which VMs are listed; all when nothing is given. */
interface Filter {
  readonly label: readonly LabelWanted[];
  readonly state: readonly VmState[];
  readonly image: string | undefined;
}

/** `banger vm list` */
export const vmList = defineCommand({
  description: "DISK is the size of the system disk as the guest sees it.",
  options: {
    json: flag("Print JSON"),
    label: labelFilter,
    state: stateFilter,
    image: value("NAME", "Those of this image"),
    watch: flag("Print it again whenever it changes, until Ctrl-C", "w"),
  },
  args: {},
  examples: [["banger vm list --label team=web --state running", "some of them"]],
  run: async (context, { options }) => {
    if (options.watch && options.json) {
      throw new BangerError("invalid", "Cannot use --watch with --json");
    }
    return await withDaemon(context, async (client) => {
      if (options.watch) {
        return await watchText(context, (signal) => tableOf(context, client, options, signal));
      }
      if (options.json) {
        const { vms } = await client.call("vm.list", {});
        context.out.write(jsonText({ vms: vms.filter((vm) => isListed(vm, options)) }));
        return 0;
      }
      const text = await tableOf(context, client, options);
      context.out.write(text);
      if (text.split("\n").length <= 2 && !context.quiet && isEverything(options)) {
        context.err.write("There are no VMs yet. Make one: banger vm run\n");
      }
      return 0;
    });
  },
});

async function tableOf(
  context: CliContext,
  client: DaemonPort,
  filter: Filter,
  signal?: AbortSignal,
): Promise<string> {
  const overview = isEverything(filter) ? await client.call("vm.overview", {}, signal) : overviewOf(
    (await client.call("vm.list", {}, signal)).vms.filter((vm) => isListed(vm, filter)),
  );
  return vmTable(overview, context.wallClockMs());
}

function isEverything({ label, state, image }: Filter): boolean {
  return label.length === 0 && state.length === 0 && image === undefined;
}

function isListed(vm: VmView, { label, state, image }: Filter): boolean {
  return hasLabels(vm.labels, label) && (state.length === 0 || state.includes(vm.state)) &&
    (image === undefined || vm.image === image);
}
