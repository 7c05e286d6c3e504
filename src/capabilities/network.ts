import type { VmId } from "../model/ids.ts";
import type { VmPaths } from "../paths/paths.ts";
import type { LoopbackPorts } from "../net/loopback_port.ts";
import { macAddressOf } from "../net/mac_address.ts";
import type { HostProcesses } from "../process/host_processes.ts";
import type { StartStep } from "../services/vm/contract.ts";
import { readHandles, writeHandles } from "../services/vm/handles.ts";
import { startFilteredPasst } from "../vmm/netfilter/start_filtered_passt.ts";
import { stopNetFilter } from "../vmm/netfilter/start_net_filter.ts";
import { guestNetwork } from "../vmm/passt/guest_network.ts";
import { stopPasst } from "../vmm/passt/start_passt.ts";
import { sshPort } from "../wire/messages.ts";
import type { VmOwner } from "./places.ts";

/** What {@linkcode networkStep} needs. */
export interface NetworkDeps {
  readonly processes: HostProcesses;
  readonly ports: LoopbackPorts;
  readonly ownerOf: (vm: VmId) => VmOwner;
}

/**
 * The guest's network in rootless mode: passt behind the net filter, which closes the host's loopback, with
 * ssh on a loopback port of the host.
 */
export function networkStep(deps: NetworkDeps): StartStep {
  return {
    name: "network",
    dependsOn: ["places"],
    async start({ vm, paths, facts, signal }) {
      const mac = macAddressOf(vm.id);
      const { passt, filter } = await startFilteredPasst(deps.processes, deps.ports, {
        runDir: paths.runDir,
        stateDir: paths.stateDir,
        forwards: [{ guestPort: sshPort, preferred: vm.runtime?.sshPort ?? null }],
        dropTo: deps.ownerOf(vm.id),
        socketPath: paths.networkSocket,
        passtSocketPath: paths.passtSocket,
        mac,
      }, signal);
      const [ssh] = passt.forwards;
      if (ssh === undefined) throw new Error("passt forwards no port");
      facts.network = {
        socketPath: filter.socketPath,
        mac,
        address: guestNetwork.cidr,
        gateway: guestNetwork.gateway,
        dns: [guestNetwork.dns],
        sshPort: ssh.hostPort,
      };
      try {
        writeHandles(paths, {
          passt: passt.process,
          netFilter: filter.process,
          network: facts.network,
        });
      } catch (error) {
        // What is not remembered nobody else stops.
        await stopNetFilter(deps.processes, filter);
        await stopPasst(deps.processes, passt);
        deps.ports.release([ssh.hostPort]);
        throw error;
      }
    },
    async stop(_vm: VmId, paths: VmPaths) {
      const { passt, netFilter, network } = readHandles(paths);
      if (netFilter !== null) {
        await stopNetFilter(deps.processes, {
          process: netFilter,
          socketPath: paths.networkSocket,
        });
      }
      if (passt !== null) {
        await stopPasst(deps.processes, { process: passt, socketPath: paths.passtSocket });
      }
      if (netFilter !== null || passt !== null) {
        writeHandles(paths, { passt: null, netFilter: null, network: null });
      }
      if (network !== null) deps.ports.release([network.sshPort]);
    },
  };
}
