import { writeMarker } from "./build_script.ts";

/** Where a build stands. */
export interface BootstrapStep {
  /** `bootstrap` until the tree is complete, then `write`. */
  readonly phase: "bootstrap" | "write";
  /** Package steps (fetched, unpacked, set up) done and expected; `null` while not known. */
  readonly done: number;
  readonly total: number | null;
  readonly note: string;
}

/**
 * Follows a build by what mmdebstrap, apt and dpkg print (in the C locale). mmdebstrap works in two
 * rounds, the essential packages and then the others; the first round's total is an estimate that
 * `expectedPackages` gives, replaced as soon as the second round tells its number.
 */
export class BootstrapProgress {
  readonly #expectedPackages: number;
  #phase: BootstrapStep["phase"] = "bootstrap";
  #announced: number[] = [];
  #steps = 0;
  #round = 0;

  constructor(expectedPackages: number) {
    this.#expectedPackages = expectedPackages;
  }

  /** The new state after `line`; `undefined` when it says nothing about it. */
  next(line: string): BootstrapStep | undefined {
    if (line === writeMarker) {
      this.#phase = "write";
      return this.#step("Writing the file system");
    }
    const round =
      /^I: (running apt-get update|downloading packages|extracting archives|installing essential|installing remaining)/
        .exec(line)?.[1];
    if (round !== undefined) return this.#step(roundNotes[round] ?? round);
    const announced = /^\d+ upgraded, (\d{1,6}) newly installed/.exec(line)?.[1];
    if (announced !== undefined) {
      this.#announced.push(Number(announced));
      this.#round++;
      return undefined;
    }
    const fetched = /^Get:\d+ \S+ \S+ \S+ (\S+) \S+ \S+ \[/.exec(line)?.[1];
    if (fetched !== undefined) return this.#count(`Fetching ${fetched}`);
    const worked = /^(Unpacking|Setting up) ([a-z0-9.+:-]+) /.exec(line);
    if (worked === null) return undefined;
    return this.#count(`${worked[1]} ${worked[2]?.replace(/:.*/, "")}`);
  }

  #count(note: string): BootstrapStep {
    this.#steps++;
    return this.#step(note);
  }

  #step(note: string): BootstrapStep {
    const known = this.#announced.reduce((sum, count) => sum + count, 0);
    const packages = this.#round >= 2 ? known : Math.max(known, this.#expectedPackages);
    const total = packages === 0 ? null : Math.max(3 * packages, this.#steps);
    return { phase: this.#phase, done: this.#steps, total, note };
  }
}

const roundNotes: Readonly<Record<string, string>> = {
  "running apt-get update": "Reading the archive's package lists",
  "downloading packages": "Downloading the base system",
  "extracting archives": "Unpacking the base system",
  "installing essential": "Installing the base system",
  "installing remaining": "Installing packages",
};
