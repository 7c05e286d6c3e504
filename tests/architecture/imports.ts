import { codeOf, type SourceFile } from "./source_file.ts";

/** An import of one file by another, or of a package. */
export interface Import {
  readonly from: string;
  /** A path relative to the project, or a bare specifier (`valibot`, `node:fs`). */
  readonly to: string;
  readonly isLocal: boolean;
}

const patterns = [
  /\b(?:import|export)\b[^;"']*?\bfrom\s*["']([^"']+)["']/g,
  /\bimport\s*["']([^"']+)["']/g,
  /\bimport\(\s*["']([^"']+)["']/g,
  /\bnew URL\(\s*["'](\.[^"']*\.ts)["']/g,
];

/** Every import of `file`: of values and types, static and dynamic, and of Workers. */
export function importsOf(file: SourceFile): Import[] {
  const code = codeOf(file.text);
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map(([, specifier = ""]) => {
      const isLocal = specifier.startsWith(".");
      const to = isLocal ? resolve(file.path, specifier) : specifier;
      return { from: file.path, to, isLocal };
    })
  );
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
