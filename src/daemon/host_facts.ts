import type { DeviceAccess } from "../process/device_access.ts";

import type { VmProcess } from "../vmm/vm_processes.ts";
import type { RootfsFile } from "../images/examine_rootfs.ts";

/** A device that makes VMs faster; all work without. */
export type VmmDevice = "/dev/kvm";

/** What the broker tells of the host, since the services may not read `/proc` and `/dev`. */
export interface HostFacts {
  /** Changes with every boot of the host. */
  bootId(): Promise<string>;
  /**
   * Whether the VMMs of this daemon can open a device; of KVM that says nothing of whether kernels
   * run in it.
   */
  vmmDevice(path: VmmDevice): Promise<DeviceAccess>;
  /**
   * A file of the user's that a VM is to have as its root disk, wherever it is: the services may read
   * their own directories only. Of what is in the file nothing is told.
   *
   * @throws BangerError as `examineRootfs`
   */
  rootfsFile(path: string): Promise<RootfsFile>;
  /**
   * The programs that run for this owner's VMs, whoever launched them: what the kernel says, whatever is
   * remembered elsewhere.
   */
  vmProcesses(): Promise<readonly VmProcess[]>;
  /** Keeps all descriptors of this process but the standard streams from programs it starts. */
  sealDescriptors(): Promise<void>;
  /**
   * Users of the processes at the other ends of all connections to the daemon's socket. Deno does
   * not tell a connection's descriptor, so a single one cannot be asked for.
   */
  peerUids(): Promise<readonly number[]>;
}

/** What the broker itself knows besides, and never takes from the Worker. */
export interface BrokerHost extends HostFacts {
  /**
   * Supplementary groups of a VMM that gave up root: those of the devices that it could not open
   * otherwise.
   */
  vmmGroups(): Promise<readonly number[]>;
}
