/**
 * What needs root: operations on a VM or on the host's network, never "run this program".
 *
 * Who calls it is not trusted: VM ids, enums and bounded numbers go in. Names of devices, addresses and users are
 * derived by what implements it, from settings and a registry of its own that only root can write.
 * Must not import the daemon, services or the store.
 */
import type { VmId } from "../model/ids.ts";

/** How far a guest's packets may go. */
export const reaches = [
  /** Nowhere: the guest is on the bridge, and what it sends is refused. */
  "none",
  /** Everywhere but private, link-local and other special-purpose addresses (RFC 6890). */
  "internet",
  /** Everywhere that the host reaches. */
  "everywhere",
] as const;

/** One of {@linkcode reaches}. */
export type Reach = typeof reaches[number];

/** What a VM's network lets through. */
export interface NetworkPolicy {
  readonly reach: Reach;
  /** Whether it and other VMs of which the same is said see each other. */
  readonly peers: boolean;
}

/** A VM's place on the bridge. */
export interface TapLease {
  readonly vm: VmId;
  readonly policy: NetworkPolicy;
  /** Name of the tap device; its owner is {@linkcode TapLease.uid}. */
  readonly tap: string;
  /** As whom the VMM opens it. */
  readonly uid: number;
  readonly mac: string;
  /** Dotted address and prefix length. */
  readonly cidr: string;
}

/** The host's side of all VMs' networks. */
export interface NetworkFacts {
  readonly bridge: string;
  /** The host's address: the guests' gateway, and their DNS server. */
  readonly gateway: string;
  readonly subnet: string;
  /** How many VMs can have a place. */
  readonly places: number;
}

/**
 * Bridge, taps, addresses and packet filter. Every call takes one lock; what is asked for twice is there once.
 */
export interface HostNetwork {
  /**
   * Makes everything as the settings and the leases say, whatever became of it: what is missing is made, taps that
   * nobody leases go.
   *
   * @throws BangerError `conflict` when the bridge's name or its addresses are used otherwise, `precondition` when the
   * host lacks a program or a part of the kernel
   */
  ensure(): Promise<NetworkFacts>;
  /**
   * Gives a VM a place; one that has it keeps tap and address, under the new policy.
   *
   * @throws BangerError `invalid`, `exhausted` when every place is taken; as {@linkcode HostNetwork.ensure}
   */
  attach(vm: VmId, policy: NetworkPolicy): Promise<TapLease>;
  /** Takes a VM's place away; without one, this does nothing. */
  detach(vm: VmId): Promise<void>;
  /** All leases, by place. */
  leases(): Promise<readonly TapLease[]>;
  /**
   * Makes the packet filter as it must be, when it is not: something else on the host may have flushed it. To be called
   * every few seconds. Answers `false` when it was not as this process had made it.
   */
  guard(): Promise<boolean>;
  /**
   * Removes bridge, rules and registry.
   *
   * @throws BangerError `conflict` while a VM has a place
   */
  remove(): Promise<void>;
}
