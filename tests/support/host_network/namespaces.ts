import assert from "node:assert/strict";
import type { TapLease } from "../../../src/privileged/contract.ts";
import { HostTools } from "../../../src/privileged/network/host_tools.ts";
import { NetworkRegistry } from "../../../src/privileged/network/registry.ts";
import { LocalNetwork } from "../../../src/privileged/network/local_network.ts";
import {
  defaultNetwork,
  networkSettings,
  type NetworkWords,
} from "../../../src/privileged/network/settings.ts";

/** Addresses of what is beyond the host; none of them is anybody's but this namespace's. */
export const beyond = {
  internet: "11.7.0.1",
  lan: "192.168.77.1",
  metadata: "169.254.169.254",
} as const;

/** What the host's own address towards the Internet is. */
export const uplink = "11.7.0.2";

/**
 * A host in a network namespace, with another one beyond it that is its Internet and its LAN, and namespaces that stand
 * for guests. Nothing of it is reached from outside, and nothing outside from it. Needs root.
 */
export class HostNamespace implements AsyncDisposable {
  readonly name: string;
  readonly dir: string;
  readonly #names: string[] = [];
  readonly #children: Deno.ChildProcess[] = [];

  private constructor(name: string, dir: string) {
    this.name = name;
    this.dir = dir;
  }

  static async make(): Promise<HostNamespace> {
    const dir = await Deno.makeTempDir({ prefix: "banger-host-network-" });
    const host = new HostNamespace(`bgr-${crypto.randomUUID().slice(0, 8)}`, dir);
    const { name } = host;
    const [internet, lan] = [host.beyond, "lan"];
    for (const one of [name, internet]) await host.#add(one);
    await script(`
      ip -n ${name} link add up0 type veth peer name host0 netns ${internet}
      ip -n ${name} link add ${lan} type veth peer name host1 netns ${internet}
      for n in ${name} ${internet}; do ip -n $n link set lo up; done
      ip -n ${name} address add ${uplink}/24 dev up0
      ip -n ${name} address add 192.168.77.2/24 dev ${lan}
      ip -n ${internet} address add ${beyond.internet}/24 dev host0
      ip -n ${internet} address add ${beyond.metadata}/32 dev host0
      ip -n ${internet} address add ${beyond.lan}/24 dev host1
      ip -n ${name} link set up0 up; ip -n ${name} link set ${lan} up
      ip -n ${internet} link set host0 up; ip -n ${internet} link set host1 up
      ip -n ${name} route add default via ${beyond.internet}
    `);
    await host.run(
      `nft -f - <<'END'
      table inet beyond {
        counter knocks { }
        chain input { type filter hook input priority filter; udp dport 4444 counter name knocks; }
      }\nEND`,
      internet,
    );
    return host;
  }

  /** banger's network on this host. Two of them with one `registry` are the same after a restart. */
  network(
    words: Partial<NetworkWords> = {},
    tools: HostTools = new HostTools(this.via),
  ): LocalNetwork {
    return new LocalNetwork(
      networkSettings({ ...defaultNetwork, firstUid: 700_000, ...words }),
      tools,
      new NetworkRegistry(this.registryPath),
    );
  }

  /** What enters the host's namespace, in front of a program and its words. */
  get via(): readonly string[] {
    return ["/usr/sbin/ip", "netns", "exec", this.name];
  }

  /** The namespace of what is beyond the host. */
  get beyond(): string {
    return `${this.name}-i`;
  }

  get registryPath(): string {
    return `${this.dir}/network.json`;
  }

  /** Runs a shell script on the host, or in another namespace, and answers what it printed. */
  async run(text: string, where = this.name): Promise<string> {
    return await script(text, ["ip", "netns", "exec", where]);
  }

  /** Lets something listen on the host, beyond it or in a guest; see `answer.ts`. */
  async answer(where: string, ...words: string[]): Promise<void> {
    const program = new URL("./answer.ts", import.meta.url).pathname;
    const argv = [Deno.execPath(), "run", "--quiet", "--no-check", "--allow-net", "--unstable-net"];
    await this.#start(["ip", "netns", "exec", where, ...argv, program, ...words]);
  }

  /** How many datagrams from a guest came where they were sent to, beyond the host. */
  async arrivals(guest: string, to: string): Promise<number> {
    const counted = async () => {
      const text = await this.run("nft list counter inet beyond knocks", this.beyond);
      return Number(/packets (\d+)/.exec(text)?.[1]);
    };
    const before = await counted();
    await this.run(
      `for n in 1 2 3 4 5; do bash -c "echo >/dev/udp/${to}/4444" || true; done; sleep 0.1`,
      guest,
    );
    return await counted() - before;
  }

  /** A guest with this lease, as its VMM and its identity would set it up. */
  async guest(lease: TapLease, cable: string): Promise<string> {
    const guest = `${this.name}-g${this.#names.length}`;
    await this.#add(guest);
    const words = [lease.tap, String(lease.uid), `/run/netns/${guest}`, "eth0"];
    await this.#start(["ip", "netns", "exec", this.name, cable, ...words]);
    const gateway = lease.cidr.replace(/\d+\/\d+$/, "1");
    await this.run(
      `echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
      ip link set lo up; ip link set eth0 address ${lease.mac}; ip link set eth0 up
      ip address add ${lease.cidr} dev eth0; ip route add default via ${gateway}`,
      guest,
    );
    return guest;
  }

  async #add(name: string): Promise<void> {
    await script(`ip netns add ${name}`);
    this.#names.push(name);
  }

  async #start(argv: readonly string[]): Promise<void> {
    const [program = "", ...args] = argv;
    const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#children.push(child);
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    assert.equal(new TextDecoder().decode(value), "up\n", argv.join(" "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      await child.stdin.close().catch(() => {});
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
      await child.status;
    }
    for (const name of this.#names.toReversed()) await script(`ip netns delete ${name}`);
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** Makes the program that carries a guest's frames. */
export async function makeTapCable(dir: string): Promise<string> {
  const source = new URL("./tap_cable.c", import.meta.url).pathname;
  await script(`gcc -O1 -Wall -Werror -o ${dir}/tap_cable ${source}`);
  return `${dir}/tap_cable`;
}

async function script(text: string, via: readonly string[] = []): Promise<string> {
  const [program = "sh", ...args] = [...via, "sh", "-ec", text];
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, `${text}\n${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
