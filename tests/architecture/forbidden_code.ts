import { matchingLines, type Rule } from "./rule.ts";
import { codeOf, isShipped, type SourceFile } from "./source_file.ts";

/** A rule that forbids some code in what ships, but in the places that own it. */
function forbid(
  name: string,
  reason: string,
  pattern: RegExp,
  owners: RegExp,
  broken: SourceFile,
): Rule {
  return {
    name,
    reason,
    violations: (files) =>
      matchingLines(
        files.filter((file) => isShipped(file) && !owners.test(file.path)),
        (file) => codeOf(file.text),
        pattern,
      ),
    broken: [broken],
  };
}

/** What only some folders may do. */
export const forbiddenCode: readonly Rule[] = [
  forbid(
    "programs are spawned only in src/process and by the guest agent",
    "every exec on the host has a bound, a clean environment and one place to look at",
    /\bDeno\.Command\b|\bchild_process\b/,
    /^(src\/process|agent)\//,
    { path: "src/vmm/qemu.ts", text: 'new Deno.Command("qemu-system-x86_64");' },
  ),
  forbid(
    "sockets are listened on only in src/net, which knows the loopback alone, and as Unix sockets",
    "Deno cannot keep the Worker from listening on other addresses; one place that does not is looked at",
    /\bDeno\.(listen\w*|serve)\b|\bcreateServer\b/,
    // The last asks whether it is denied.
    /^src\/(net\/|transport\/unix_server\.ts|netfilter\/main\.ts|process\/own_permissions\.ts)/,
    { path: "src/services/vm/web.ts", text: 'Deno.listen({ hostname: "0.0.0.0", port: 80 });' },
  ),
  forbid(
    "console is used only in src/log",
    "output is either a result, which the CLI writes, or a log record with a level",
    /\bconsole\.(log|debug|info|warn|error|dir|table|trace)\s*\(/,
    /^src\/log\//,
    { path: "src/vmm/qemu.ts", text: 'console.error("no");' },
  ),
  forbid(
    "the environment is read only in src/paths, src/config, main files and three edges",
    "a leaf that reads the environment cannot be tested or reasoned about",
    /\bDeno\.env\b|\bprocess\.env\b/,
    // The streams of the CLI are its edge (NO_COLOR, TERM). Started from source, banger must give
    // its child the module cache that it was started with. Roles assert that it is denied.
    new RegExp(
      "^(src/(paths|config)/|(src/(cli|daemon|helper)/|agent/)?main\\.ts$|" +
        "src/(cli/standard_streams|version/self_command|daemon/assert_narrow|" +
        "process/own_permissions)\\.ts$)",
    ),
    { path: "src/store/open.ts", text: 'Deno.env.get("HOME");' },
  ),
];
