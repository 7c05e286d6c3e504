import { sha256Of } from "./archive.ts";
import { compiled } from "./compiled.ts";

/** The base binaries (`denort`) by architecture. */
export interface DenortBins {
  readonly x86_64: string | undefined;
  readonly aarch64: string | undefined;
}

/** A program and the directory of its bundle. */
export interface ReleaseProgram {
  readonly name: string;
  readonly bundleDir: string;
}

/**
 * Compiles every program for every architecture to `outDir` and writes `SHA256SUMS` there. Resolves
 * to an exit code: 2 when a base binary is missing, since a release is never self-extracting.
 */
export async function release(
  bins: DenortBins,
  outDir: string,
  programs: readonly ReleaseProgram[],
  bundleAll: () => Promise<string>,
  say: (line: string) => void,
): Promise<number> {
  const { x86_64, aarch64 } = bins;
  if (x86_64 === undefined || aarch64 === undefined) {
    say('Cannot build "release": a release is compiled, and the base binaries are missing');
    say("hint: set DENORT_BIN_X86_64 and DENORT_BIN_AARCH64 to the denort of the pinned Deno");
    return 2;
  }
  const version = await bundleAll();
  await Deno.mkdir(outDir, { recursive: true });
  const sums: string[] = [];
  for (const [arch, denortBin] of Object.entries({ x86_64, aarch64 })) {
    for (const { name, bundleDir } of programs) {
      const file = `${name}-${version}-linux-${arch}`;
      const out = `${outDir}/${file}`;
      await compiled({ out, bundleDir, denortBin, target: `${arch}-unknown-linux-gnu` });
      sums.push(`${await sha256Of(out)}  ${file}\n`);
    }
  }
  await Deno.writeTextFile(`${outDir}/SHA256SUMS`, sums.join(""));
  say(`release: ${sums.length} files in ${outDir}`);
  return 0;
}
