import { type Command, longName, type OptionSpec } from "./command.ts";
import { type Group, isGroup, type Leaf } from "./command_tree.ts";
import { globalOptions } from "./parse_argv.ts";
import { wrap } from "./render/wrap.ts";

/** Help of `banger` itself. */
export function rootHelp(tree: Readonly<Record<string, Leaf | Group>>): string {
  const rows: [string, string][] = [];
  for (const [name, entry] of Object.entries(tree)) {
    if (!isGroup(entry)) rows.push([name, entry.summary]);
    else rows.push(...commandRows(name, entry.commands));
  }
  return [
    "Usage: banger COMMAND [OPTIONS] [ARGUMENTS]\n",
    "Boots a throw-away Linux machine with your repository in it.\n",
    `Start here:\n${
      columns([
        ["banger vm run", "a shell in a fresh VM with this repository"],
        ["banger vm run -- make test", "one command in it; its output and exit code are banger's"],
        ["banger doctor", "what this host has and lacks"],
      ])
    }`,
    `Commands:\n${columns(rows)}`,
    `Options of every command:\n${columns(optionRows(globalOptions))}`,
    "banger COMMAND --help explains a command.\n",
  ].join("\n");
}

/** Help of a group of commands, such as `banger vm`. */
export function groupHelp(name: string, group: Group): string {
  const rows = commandRows(name, group.commands);
  return [
    `Usage: banger ${name} COMMAND [OPTIONS] [ARGUMENTS]\n`,
    `${group.summary}.\n`,
    `Commands:\n${columns(rows)}`,
    `banger ${name} COMMAND --help explains a command.\n`,
  ].join("\n");
}

/** Names and summaries, those of third words behind theirs. */
function commandRows(
  path: string,
  commands: Readonly<Record<string, Leaf>>,
): readonly [string, string][] {
  return Object.entries(commands)
    .filter(([, leaf]) => leaf.hidden !== true)
    .flatMap(([sub, leaf]) => [
      [`${path} ${sub}`, leaf.summary],
      ...commandRows(`${path} ${sub}`, leaf.subcommands ?? {}),
    ]);
}

/** Help of a command. */
export function commandHelp(path: string, summary: string, command: Command): string {
  const parts = [usage(path, command), `${summary}.\n`];
  if (command.description !== "") parts.push(`${wrap(command.description, 0, 80)}\n`);
  const args: [string, string][] = Object.values(command.args).map((
    arg,
  ) => [arg.placeholder, arg.summary]);
  if (command.rest !== undefined) args.push([command.rest.placeholder, command.rest.summary]);
  if (args.length > 0) parts.push(`Arguments:\n${columns(args)}`);
  parts.push(`Options:\n${columns(optionRows({ ...command.options, ...globalOptions }))}`);
  if (command.examples !== undefined) {
    parts.push(`Examples:\n${columns(command.examples)}`);
  }
  return parts.join("\n");
}

function usage(path: string, command: Command): string {
  let text = `Usage: banger ${path} [OPTIONS]`;
  for (const arg of Object.values(command.args)) {
    text += ` ${
      {
        one: arg.placeholder,
        optional: `[${arg.placeholder}]`,
        many: `${arg.placeholder}…`,
        any: `[${arg.placeholder}…]`,
      }[arg.count]
    }`;
  }
  if (command.rest !== undefined) {
    const words = `-- ${command.rest.placeholder}`;
    text += command.rest.required ? ` ${words}` : ` [${words}]`;
  }
  return `${text}\n`;
}

function optionRows(options: Readonly<Record<string, OptionSpec>>): [string, string][] {
  return Object.entries(options).map(([key, spec]) => {
    const short = spec.short === undefined ? "    " : `-${spec.short}, `;
    const placeholder = spec.kind === "flag" ? "" : ` ${spec.placeholder}`;
    return [`${short}${longName(key)}${placeholder}`, spec.summary];
  });
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(38, Math.max(0, ...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => {
    const text = wrap(right, width + 4, 80);
    return left.length > width
      ? `  ${left}\n${" ".repeat(width + 4)}${text}\n`
      : `  ${left.padEnd(width)}  ${text}\n`;
  }).join("");
}
