import type { Rule } from "./rule.ts";
import { isShipped, type SourceFile } from "./source_file.ts";

const maxLines = 500;
const maxMedianLines = 100;

function linesOf({ text }: SourceFile): number {
  return text.split("\n").length - 1;
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** No file is too long to be read at once. */
export const fileSize: Rule = {
  name: `no file of code has over ${maxLines} lines`,
  reason: "a file has one main export; a long one holds several things: split it",
  violations: (files) =>
    files.filter((file) => /\.(ts|sh)$/.test(file.path) && linesOf(file) > maxLines)
      .map((file) => `${file.path} has ${linesOf(file)} lines`),
  broken: [{ path: "src/vmm/all.ts", text: "x;\n".repeat(maxLines + 1) }],
};

/** Most files are short. */
export const medianFileSize: Rule = {
  name: `the median file of src and agent has under ${maxMedianLines} lines`,
  reason: "small files with one purpose are found by their names",
  violations: (files) => {
    const middle = median(files.filter(isShipped).map(linesOf).sort((a, b) => a - b));
    return middle < maxMedianLines ? [] : [`the median is ${middle}`];
  },
  broken: [{ path: "src/vmm/all.ts", text: "x;\n".repeat(maxMedianLines) }],
};
