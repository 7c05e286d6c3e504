import { BangerError, isBangerError } from "../../model/errors.ts";
import { run } from "../../process/run.ts";

/** Bound on one call of a program. */
const timeoutMs = 15_000;

const forwarding = "/proc/sys/net/ipv4/ip_forward";
const programs = {
  ip: "/usr/sbin/ip",
  nft: "/usr/sbin/nft",
  cat: "/usr/bin/cat",
  tee: "/usr/bin/tee",
} as const;

type Program = keyof typeof programs;

/**
 * The programs that change the host's network: absolute paths, fixed words, an empty environment; what varies is on
 * their standard input, in a language of one statement a line.
 */
export class HostTools {
  readonly #via: readonly string[];

  /** @param via words in front of each program, as those that enter a network namespace */
  constructor(via: readonly string[] = []) {
    this.#via = via;
  }

  /** Statements for `ip -batch`, in order; the first that fails ends it. @throws BangerError `internal` */
  async changeLinks(statements: readonly string[]): Promise<void> {
    if (statements.length === 0) return;
    await this.#run("ip", ["-batch", "-"], `${statements.join("\n")}\n`);
  }

  /** What `ip -json -details link show` tells. */
  async links(): Promise<unknown> {
    return JSON.parse(await this.#run("ip", ["-json", "-details", "link", "show"]));
  }

  /** What `ip -json -4 route show table all` tells. */
  async routes(): Promise<unknown> {
    return JSON.parse(await this.#run("ip", ["-json", "-4", "route", "show", "table", "all"]));
  }

  /** Carries a script of nft out, as one transaction. @throws BangerError `internal` */
  async changeRules(script: string): Promise<void> {
    await this.#run("nft", ["-f", "-"], script);
  }

  /** How nft lists a table; `null` when there is none. */
  async table(family: "bridge" | "inet", name: string): Promise<string | null> {
    try {
      return await this.#run("nft", ["list", "table", family, name]);
    } catch (error) {
      const isMissing = isBangerError(error, "internal") &&
        error.detail?.includes("No such file or directory") === true;
      if (isMissing) return null;
      throw error;
    }
  }

  /** Whether the host sends packets on. */
  async forwards(): Promise<boolean> {
    return (await this.#run("cat", [forwarding])).trim() !== "0";
  }

  async setForwards(on: boolean): Promise<void> {
    await this.#run("tee", [forwarding], on ? "1\n" : "0\n");
  }

  async #run(program: Program, args: readonly string[], stdin?: string): Promise<string> {
    const [first, ...rest] = [...this.#via, programs[program], ...args] as [string, ...string[]];
    const input = stdin === undefined ? {} : { stdin: new TextEncoder().encode(stdin) };
    try {
      const { stdout } = await run(first, rest, { env: {}, timeoutMs, ...input });
      return new TextDecoder().decode(stdout);
    } catch (error) {
      if (!isBangerError(error, "precondition")) throw error;
      const from = program === "nft" ? "nftables" : program === "ip" ? "iproute2" : "coreutils";
      throw new BangerError("precondition", error.message, {
        hint: `apt install ${from}`,
        cause: error,
      });
    }
  }
}
