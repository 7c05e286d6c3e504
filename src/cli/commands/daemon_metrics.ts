import { defineCommand } from "../command.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger daemon metrics` */
export const daemonMetrics = defineCommand({
  description:
    "Of the daemon and the running VMs, as Prometheus' node exporter reads them from a file. " +
    "Starts no daemon.",
  options: {},
  args: {},
  examples: [["banger daemon metrics | grep banger_vm_cpu", "what the guests' processors did"]],
  run: async (context) => {
    const { metricsText } = await import("../render/metrics.ts");
    const text = await withDaemon(context, async (client) => {
      const [daemon, { vms }, { stats }] = await Promise.all([
        client.call("daemon.status", {}),
        client.call("vm.list", {}),
        client.call("vm.stats", { vms: null }),
      ]);
      return metricsText(daemon, vms, stats);
    }, "never");
    context.out.write(text);
    return 0;
  },
});
