/**
 * The flags that banger's code runs with, the same in every kind of build. The main thread needs all
 * permissions (`/proc`, `/sys` and `/dev/kvm` want a literal `--allow-all`); roles narrow themselves.
 * Without lazy dynamic imports Deno reads every file that a literal `import()` could ever reach,
 * before it runs the first line: 2 ms for the CLI alone.
 */
export const runFlags: readonly string[] = [
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
  "--no-prompt",
  "--allow-all",
  "--unstable-lazy-dynamic-imports",
  "--unstable-worker-options",
];
