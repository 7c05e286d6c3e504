import assert from "node:assert/strict";
import { globalOptions } from "./parse_argv.ts";
import { commandTree, isGroup, type Leaf } from "./command_tree.ts";
import { longName } from "./command.ts";
import { rootHelpText } from "./root_help_text.ts";
import { runFake } from "./testdata/fake_context.ts";

const rootText = new URL("./root_help_text.ts", import.meta.url);
const golden = new URL("./testdata/golden/help.txt", import.meta.url);

function* leaves(): Generator<readonly [string, Leaf]> {
  for (const [name, entry] of Object.entries(commandTree)) {
    if (!isGroup(entry)) yield [name, entry];
    else yield* leavesOf(name, entry.commands);
  }
}

function* leavesOf(
  path: string,
  commands: Readonly<Record<string, Leaf>>,
): Generator<readonly [string, Leaf]> {
  for (const [sub, leaf] of Object.entries(commands)) {
    yield [`${path} ${sub}`, leaf];
    yield* leavesOf(`${path} ${sub}`, leaf.subcommands ?? {});
  }
}

async function help(...argv: string[]): Promise<string> {
  const { code, out, err } = await runFake(argv, {
    connect: () => assert.fail("no daemon for help"),
  });
  assert.equal(code, 0);
  assert.equal(err.text, "");
  return out.text;
}

Deno.test("the help of every command is as the golden file has it (BANGER_UPDATE_GOLDEN=1 writes it)", async () => {
  let text = await help("--help");
  for (const [name, entry] of Object.entries(commandTree)) {
    if (isGroup(entry)) text += `\n# banger ${name} --help\n${await help(name, "--help")}`;
  }
  for (const [path] of leaves()) {
    text += `\n# banger ${path} --help\n${await help(...path.split(" "), "--help")}`;
  }
  if (Deno.env.get("BANGER_UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden, text);
  assert.equal(text, await Deno.readTextFile(golden));
  assert.deepEqual(text.split("\n").filter((line) => line.length > 80), []);
});

Deno.test("the text of banger --help that starts without the commands is the generated one", async () => {
  const text = await help("help");
  const literal = text.replace(/[\\`]|\$\{/g, "\\$&");
  const source =
    `/** What \`rootHelp\` makes of the commands, ready to be printed; a test compares the two. */
export const rootHelpText = \`${literal}\`;
`;
  if (Deno.env.get("BANGER_UPDATE_GOLDEN") === "1") await Deno.writeTextFile(rootText, source);
  assert.equal(rootHelpText, text);
});

Deno.test("every command has a summary without a full stop, and options that do not collide", async () => {
  for (const [path, leaf] of leaves()) {
    assert.match(leaf.summary, /^[A-Z].*[^.]$/, path);
    const { options } = await leaf.load();
    const all = Object.entries({ ...globalOptions, ...options });
    const names = all.flatMap((
      [key, { short }],
    ) => [longName(key), ...(short ? [`-${short}`] : [])]);
    assert.equal(new Set(names).size, names.length, `${path}: ${names}`);
    for (const key of Object.keys(globalOptions)) assert.ok(!(key in options), `${path} ${key}`);
    if (/ (list|show|status)$|^(version|doctor)$/.test(path)) assert.ok("json" in options, path);
  }
});

Deno.test("help WORDS is WORDS --help, and no words are help as well", async () => {
  assert.equal(await help("help", "vm", "run"), await help("vm", "run", "--help"));
  assert.equal(await help("help", "vm"), await help("vm"));
  assert.equal(await help(), await help("--help"));
});
