import { importsOf } from "./imports.ts";
import type { Rule } from "./rule.ts";
import { isTest, type SourceFile } from "./source_file.ts";

interface Limit {
  /** The files that are limited. */
  readonly from: RegExp;
  /** What they may import besides; local paths and bare specifiers. */
  readonly to: RegExp;
}

const rankOne = "model|wire|net|disk|process|paths|log|sync|transport|config|version";

const packages = /^(?!\.)(?!src\/|agent\/|tests\/|scripts\/|main\.ts)/;

/** A rule that limits what some files import. Their tests may import packages and tests/support. */
function limit(name: string, reason: string, { from, to }: Limit, broken: SourceFile[]): Rule {
  const allowed = (path: string, target: string) =>
    to.test(target) || (isTest(path) && (packages.test(target) || target.startsWith("tests/")));
  return {
    name,
    reason,
    violations: (files) =>
      files.filter(({ path }) => path.endsWith(".ts") && from.test(path)).flatMap((file) =>
        importsOf(file).filter((found) => !allowed(found.from, found.to))
          .map((found) => `${found.from} imports ${found.to}`)
      ),
    broken,
  };
}

/** Limits that are narrower than the ranks. */
export const importLimits: readonly Rule[] = [
  limit(
    "wire imports nothing",
    "it is compiled into the guest agent, which must stay small and know no host code",
    { from: /^src\/wire\//, to: /^src\/wire\// },
    [{ path: "src/wire/frame.ts", text: 'import { Buffer } from "node:buffer";' }],
  ),
  limit(
    "the guest agent imports only wire, and what Deno has built in",
    "host and guest share nothing but the messages between them",
    { from: /^agent\//, to: /^(agent\/|src\/wire\/|node:)/ },
    [{ path: "agent/main.ts", text: 'import { run } from "../src/process/run.ts";' }],
  ),
  limit(
    "the CLI imports only client, api, model, repository, doctor, guest/ssh, oci/host and rank 1",
    "it is a thin client: what it does the daemon must be able to do for others; but git, doctor and what needs the user's rights are its own",
    {
      from: /^src\/cli\//,
      to: new RegExp(
        `^(src/(cli|client|api|repository|doctor|${rankOne})/|src/guest/ssh|src/oci/host/|` +
          "(?!src/|\\.))",
      ),
    },
    [{ path: "src/cli/list.ts", text: 'import { open } from "../store/open.ts";' }],
  ),
  limit(
    "the root helper imports only privileged, api, model and rank 1",
    "what runs as root is what must be reviewed: keep it short",
    {
      from: /^src\/helper\//,
      to: new RegExp(`^(src/(helper|privileged|api|${rankOne})/|(?!src/|\\.))`),
    },
    [{ path: "src/helper/main.ts", text: 'import { pull } from "../oci/pull.ts";' }],
  ),
  ...["host_network", "image", "workspace", "vm"].map((service) =>
    limit(
      `the ${service} service imports no other service`,
      "services reach each other through interfaces that the consumer declares",
      {
        from: new RegExp(`^src/services/${service}/`),
        to: new RegExp(`^(src/services/${service}/|src/services/[^/]+$|(?!src/services/))`),
      },
      [{ path: `src/services/${service}/x.ts`, text: 'import { y } from "../other/y.ts";' }],
    )
  ),
];
