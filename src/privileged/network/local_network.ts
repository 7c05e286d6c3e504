/**
 * The bridge network of this host: bridge, taps, addresses and packet filter, by `ip` and `nft`.
 *
 * Owns the names and addresses of all of it, the registry of who has which, and the two tables of nftables. Must not
 * import the daemon, the store, services or a VMM: a VM is an id here.
 */
import { BangerError } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import { macAddressOf } from "../../net/mac_address.ts";
import { Mutex } from "../../sync/mutex.ts";
import type { HostNetwork, NetworkFacts, NetworkPolicy, TapLease } from "../contract.ts";
import { checkPolicy, checkVm } from "./check.ts";
import {
  bridgeMac,
  checkRoutes,
  findBridge,
  type Link,
  ownAlias,
  parseLinks,
} from "./host_state.ts";
import type { HostTools } from "./host_tools.ts";
import { formatIpv4Range } from "./ipv4.ts";
import type { NetworkRecord, NetworkRegistry, Place } from "./registry.ts";
import { ruleScript, tableFamilies, tableName } from "./rules.ts";
import {
  addressOf,
  gatewayOf,
  type NetworkSettings,
  placesIn,
  tapOf,
  tapPrefixOf,
} from "./settings.ts";

/** The network of this host, changed by this process; it must be root's. */
export class LocalNetwork implements HostNetwork {
  readonly #settings: NetworkSettings;
  readonly #tools: HostTools;
  readonly #registry: NetworkRegistry;
  readonly #lock = new Mutex();
  /** How nft lists the rules that were made last; `null`: it was not asked since. */
  #listing: string | null = null;
  /** Whether this process has made the rules. */
  #hasRules = false;
  /** The taps that this process has made, or has found whole; `null`: it has not looked. */
  #known: Set<string> | null = null;

  constructor(settings: NetworkSettings, tools: HostTools, registry: NetworkRegistry) {
    this.#settings = settings;
    this.#tools = tools;
    this.#registry = registry;
  }

  async ensure(): Promise<NetworkFacts> {
    return await this.#locked(async () => {
      await this.#make(this.#registry.read());
      return this.#facts();
    });
  }

  async attach(ofVm: VmId, wanted: NetworkPolicy): Promise<TapLease> {
    const [vm, policy] = [checkVm(ofVm), checkPolicy(wanted)];
    return await this.#locked(async () => {
      const before = this.#registry.read();
      const known = before.places.find((place) => place.vm === vm);
      const place = known?.place ?? freePlace(before.places, placesIn(this.#settings));
      const others = before.places.filter((other) => other.vm !== vm);
      const record = { ...before, places: [...others, { vm, place, policy }] };
      // First: a device that no lease tells of is anybody's to remove.
      this.#registry.write(record);
      try {
        await this.#make(record, vm);
      } catch (error) {
        this.#registry.write({ ...this.#registry.read(), places: before.places });
        // Whatever was made of it goes again, as far as the host lets it.
        await this.#make(this.#registry.read()).catch(() => {});
        throw error;
      }
      return this.#lease({ vm, place, policy });
    });
  }

  async detach(ofVm: VmId): Promise<void> {
    const vm = checkVm(ofVm);
    await this.#locked(async () => {
      const before = this.#registry.read();
      const places = before.places.filter((place) => place.vm !== vm);
      if (places.length === before.places.length) return;
      const record = { ...before, places };
      // Last, so that who is cut off in between finds it still leased.
      await this.#make(record, vm);
      this.#registry.write({ ...this.#registry.read(), places });
    });
  }

  async leases(): Promise<readonly TapLease[]> {
    return await this.#locked(() => Promise.resolve(this.#leasesOf(this.#registry.read().places)));
  }

  async guard(): Promise<boolean> {
    return await this.#locked(async () => {
      if (this.#listing !== null && await this.#listed() === this.#listing) return true;
      // Nobody has looked since they were made: then they are made once more, so that what is compared later is right.
      const isFirstLook = this.#hasRules && this.#listing === null;
      await this.#replaceRules(this.#leasesOf(this.#registry.read().places));
      this.#listing = await this.#listed();
      return isFirstLook;
    });
  }

  async remove(): Promise<void> {
    await this.#locked(async () => {
      const record = this.#registry.read();
      if (record.places.length > 0) {
        const count = record.places.length === 1 ? "a VM is" : `${record.places.length} VMs are`;
        throw new BangerError("conflict", `Cannot remove VMs' network: ${count} on it`, {
          hint: "banger vm list shows them, banger vm stop --all ends them",
        });
      }
      const links = parseLinks(await this.#tools.links());
      const bridge = findBridge(this.#settings, links);
      await this.#tools.changeLinks([
        ...strayTaps(this.#settings, links, []),
        ...(bridge === undefined ? [] : [`link delete dev ${bridge.name}`]),
      ]);
      await this.#tools.changeRules(
        tableFamilies.map((family) =>
          `table ${family} ${tableName} { }\ndelete table ${family} ${tableName}\n`
        ).join(""),
      );
      this.#listing = null;
      this.#hasRules = false;
      this.#known = null;
      if (record.forwardedBefore === false) await this.#tools.setForwards(false);
      this.#registry.remove();
    });
  }

  /**
   * Makes the host as `record` says. Packets are filtered before any device can send them, and until it cannot any
   * more. With `only`, what this process has made is taken to be there, and that VM's tap is all that changes;
   * when the host says otherwise, everything is looked at.
   */
  async #make(record: NetworkRecord, only?: VmId): Promise<void> {
    if (only !== undefined && this.#known !== null) {
      try {
        return await this.#change(record, this.#known, only);
      } catch {
        // Somebody else has changed it.
      }
    }
    this.#known = null;
    const [linksTold, routes] = await Promise.all([this.#tools.links(), this.#tools.routes()]);
    const links = parseLinks(linksTold);
    const bridge = findBridge(this.#settings, links);
    checkRoutes(this.#settings, routes);
    const leases = this.#leasesOf(record.places);
    await this.#filter(leases, [
      ...(bridge === undefined ? newBridge(this.#settings) : []),
      `address replace ${gatewayOf(this.#settings)}/${this.#settings.subnet.prefix} ` +
      `dev ${this.#settings.bridge}`,
      `link set dev ${this.#settings.bridge} up`,
      ...strayTaps(this.#settings, links, leases),
      ...leases.flatMap((lease) => missingTap(this.#settings, links, lease)),
    ]);
    await this.#forward(record);
    this.#known = new Set(leases.map(({ tap }) => tap));
  }

  async #change(record: NetworkRecord, known: Set<string>, only: VmId): Promise<void> {
    const leases = this.#leasesOf(record.places);
    const lease = leases.find(({ vm }) => vm === only);
    const leased = new Set(leases.map(({ tap }) => tap));
    const gone = [...known].filter((tap) => !leased.has(tap));
    await this.#tools.changeLinks(gone.map((tap) => `link delete dev ${tap}`));
    for (const tap of gone) known.delete(tap);
    const isThere = lease !== undefined && known.has(lease.tap);
    const statements = lease === undefined
      ? []
      : isThere
      ? [isolation(lease)]
      : newTap(this.#settings, lease);
    await this.#filter(leases, statements);
    if (lease !== undefined) known.add(lease.tap);
  }

  /** Makes the rules for these leases, and then carries the statements for `ip` out. */
  async #filter(leases: readonly TapLease[], statements: readonly string[]): Promise<void> {
    await this.#replaceRules(leases);
    await this.#tools.changeLinks(statements);
  }

  async #forward(record: NetworkRecord): Promise<void> {
    const forwards = await this.#tools.forwards();
    if (record.forwardedBefore === null) {
      this.#registry.write({ ...this.#registry.read(), forwardedBefore: forwards });
    }
    if (!forwards) await this.#tools.setForwards(true);
  }

  async #replaceRules(leases: readonly TapLease[]): Promise<void> {
    await this.#tools.changeRules(ruleScript(this.#settings, leases));
    this.#listing = null;
    this.#hasRules = true;
  }

  async #listed(): Promise<string> {
    const tables = await Promise.all(
      tableFamilies.map((family) => this.#tools.table(family, tableName)),
    );
    return tables.join("\n");
  }

  #facts(): NetworkFacts {
    return {
      bridge: this.#settings.bridge,
      gateway: gatewayOf(this.#settings),
      subnet: formatIpv4Range(this.#settings.subnet),
      places: placesIn(this.#settings),
    };
  }

  #leasesOf(places: readonly Place[]): readonly TapLease[] {
    return places.filter(({ place }) => place < placesIn(this.#settings))
      .toSorted((a, b) => a.place - b.place).map((place) => this.#lease(place));
  }

  #lease({ vm, place, policy }: Place): TapLease {
    return {
      vm,
      policy,
      tap: tapOf(this.#settings, place),
      uid: this.#settings.firstUid + place,
      mac: macAddressOf(vm),
      cidr: `${addressOf(this.#settings, place)}/${this.#settings.subnet.prefix}`,
    };
  }

  async #locked<T>(body: () => Promise<T>): Promise<T> {
    await this.#lock.acquire();
    try {
      return await body();
    } finally {
      this.#lock.release();
    }
  }
}

/** The lowest place that nobody has. @throws BangerError `exhausted` */
function freePlace(places: readonly Place[], count: number): number {
  const taken = new Set(places.map(({ place }) => place));
  for (let place = 0; place < count; place++) if (!taken.has(place)) return place;
  throw new BangerError("exhausted", `Cannot connect the VM: all ${count} addresses are taken`, {
    hint: "Stop a VM (banger vm list), or configure a larger subnet",
  });
}

function newBridge({ bridge }: NetworkSettings): string[] {
  return [
    // Without snooping it has no multicast groups of its own to tell the guests about.
    `link add name ${bridge} address ${bridgeMac} type bridge ` +
    "stp_state 0 forward_delay 0 mcast_snooping 0",
    `link set dev ${bridge} alias ${ownAlias}`,
    // No address of IPv6 makes itself, here or on a tap.
    `link set dev ${bridge} addrgenmode none`,
  ];
}

/** What removes banger's own taps on its bridge that no lease tells of. */
function strayTaps(
  settings: NetworkSettings,
  links: readonly Link[],
  leases: readonly TapLease[],
): string[] {
  const leased = new Set(leases.map(({ tap }) => tap));
  return links.filter((link) => isOwnTap(settings, link) && !leased.has(link.name)).map((
    { name },
  ) => `link delete dev ${name}`);
}

/** Made by banger for this bridge. By its name: one that was cut off in the making has nothing else of it yet. */
function isOwnTap(settings: NetworkSettings, { name, kind }: Link): boolean {
  const prefix = tapPrefixOf(settings);
  const isNamed = name.startsWith(prefix) && /^\d{1,3}$/.test(name.slice(prefix.length));
  return kind === "tun" && isNamed;
}

function missingTap(
  settings: NetworkSettings,
  links: readonly Link[],
  lease: TapLease,
): string[] {
  const { bridge } = settings;
  const link = links.find(({ name }) => name === lease.tap);
  const isWhole = link !== undefined && isOwnTap(settings, link) && link.master === bridge;
  if (isWhole) return [isolation(lease)];
  return [
    ...(link === undefined ? [] : [`link delete dev ${lease.tap}`]),
    ...newTap(settings, lease),
  ];
}

function newTap({ bridge }: NetworkSettings, lease: TapLease): string[] {
  const { tap, uid } = lease;
  return [
    `tuntap add dev ${tap} mode tap user ${uid}`,
    `link set dev ${tap} alias ${ownAlias}`,
    `link set dev ${tap} addrgenmode none`,
    `link set dev ${tap} master ${bridge}`,
    isolation(lease),
    `link set dev ${tap} up`,
  ];
}

/** Ports that are isolated do not hear each other (ip-link(8)); the packet filter says so again. */
function isolation({ tap, policy }: TapLease): string {
  return `link set dev ${tap} type bridge_slave isolated ${policy.peers ? "off" : "on"}`;
}
