import type { LaneChannel } from "../src/wire/lane.ts";

const names = ["stdin", "stdout", "stderr"] as const;

/**
 * The pipes between this process and a child, so that another program can take this process's ends
 * over: `/proc/PID/fd/N` of a pipe opens it anew (proc(5)). Must be made in the turn of the spawn.
 *
 * A child may exchange its descriptors at once, so they are believed only when they are in the order in
 * which a spawn makes them: stdin, stdout, stderr, each with a higher number here.
 */
export class ChildPipes {
  readonly #links: readonly (string | undefined)[];

  constructor(pid: number) {
    this.#links = names.map((_, fd) => pipeLink(`/proc/${pid}/fd/${fd}`));
  }

  /** This process's end of a pipe, `undefined` when it cannot be told for sure. */
  descriptorOf(name: LaneChannel): number | undefined {
    const wanted = this.#links[names.indexOf(name)];
    if (wanted === undefined) return undefined;
    const own: { readonly fd: number; readonly index: number }[] = [];
    for (const { name: fd } of Deno.readDirSync("/proc/self/fd")) {
      const link = pipeLink(`/proc/self/fd/${fd}`);
      const index = link === undefined ? -1 : this.#links.indexOf(link);
      if (index !== -1) own.push({ fd: Number(fd), index });
    }
    own.sort((a, b) => a.fd - b.fd);
    const inOrder = own.every(({ index }, at) => at === 0 || index > own[at - 1]!.index);
    const mine = own.find(({ index }) => this.#links[index] === wanted);
    return inOrder ? mine?.fd : undefined;
  }
}

function pipeLink(path: string): string | undefined {
  try {
    const link = Deno.readLinkSync(path);
    return link.startsWith("pipe:") ? link : undefined;
  } catch {
    return undefined;
  }
}
