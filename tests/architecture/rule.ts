import type { SourceFile } from "./source_file.ts";

/** A rule that the project's files obey. */
export interface Rule {
  readonly name: string;
  /** Why the rule is worth obeying; shown when it is broken. */
  readonly reason: string;
  /** Lists what breaks the rule, one line each with the path first. */
  readonly violations: (files: readonly SourceFile[]) => string[];
  /** A project that breaks the rule: it must be found out. */
  readonly broken: readonly SourceFile[];
}

/** Lines of `files` whose code matches `pattern`, as `path:line: text`. */
export function matchingLines(
  files: readonly SourceFile[],
  textOf: (file: SourceFile) => string,
  pattern: RegExp,
): string[] {
  return files.flatMap((file) =>
    textOf(file).split("\n").flatMap((line, index) =>
      pattern.test(line) ? [`${file.path}:${index + 1}: ${line.trim()}`] : []
    )
  );
}
