import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError } from "../model/errors.ts";
import { defineCommand, flag, value, wholeNumber } from "./command.ts";
import { parseArgv } from "./parse_argv.ts";

const command = defineCommand({
  description: "",
  options: {
    force: flag("", "f"),
    noWorkspace: flag(""),
    name: value("NAME", ""),
    cpus: value("N", "", wholeNumber("cpus", 1, 64)),
    env: {
      kind: "list",
      short: "e",
      placeholder: "KEY",
      summary: "",
      parse: (text: string) => text,
    },
  },
  args: { path: { count: "optional", placeholder: "PATH", summary: "" } },
  rest: { required: false, placeholder: "CMD…", summary: "" },
  run: () => Promise.resolve(0),
});

function parse(...words: string[]) {
  const parsed = parseArgv("x run", command, words);
  assert.equal(parsed.kind, "given");
  return parsed.kind === "given" ? parsed : assert.fail();
}

function refusal(...words: string[]): string {
  try {
    parseArgv("x run", command, words);
  } catch (error) {
    assert.ok(error instanceof BangerError && error.kind === "invalid");
    return `${error.message} | ${error.hint}`;
  }
  return assert.fail("it was accepted");
}

Deno.test("options are taken in every form, before and after arguments", () => {
  const { given, globals } = parse(
    "-fq",
    "--name=a",
    "here",
    "--cpus",
    "2",
    "-eA",
    "-e",
    "B",
    "--no-workspace",
  );
  assert.deepEqual(given.options, {
    quiet: true,
    verbose: false,
    help: false,
    force: true,
    noWorkspace: true,
    name: "a",
    cpus: 2,
    env: ["A", "B"],
  });
  assert.deepEqual(given.args, { path: "here" });
  assert.deepEqual(given.rest, []);
  assert.deepEqual(globals, { quiet: true, verbose: false });
});

Deno.test("what stands behind -- is the command's, options included", () => {
  assert.deepEqual(parse("--", "ls", "--help", "--", "-q").given.rest, [
    "ls",
    "--help",
    "--",
    "-q",
  ]);
});

Deno.test("a value may start with a hyphen or be empty, so that its own rule can refuse it", () => {
  assert.equal(parse("--name", "-rf").given.options["name"], "-rf");
  assert.equal(parse("--name=").given.options["name"], "");
});

Deno.test("refusals say what is wrong and what to do", () => {
  assert.equal(
    refusal("--nmae", "x"),
    'Cannot run "banger x run": there is no option "--nmae" | Did you mean --name?',
  );
  assert.equal(
    refusal("--zzzzzz"),
    'Cannot run "banger x run": there is no option "--zzzzzz" | banger x run --help',
  );
  assert.equal(
    refusal("make", "test"),
    'Cannot run "banger x run": "test" is one word too many | Put CMD… behind --',
  );
  assert.match(refusal("--name"), /--name needs NAME/);
  assert.match(refusal("--force=yes"), /--force takes no value/);
  assert.match(
    refusal("--cpus", "1e3"),
    /Cannot use cpus "1e3": it is not a whole number from 1 to 64/,
  );
});

Deno.test("help wins over what is missing", () => {
  assert.equal(
    parseArgv("x run", { ...command, rest: { ...command.rest!, required: true } }, ["-h"]).kind,
    "help",
  );
});

Deno.test("any words are parsed or refused, never worse", () => {
  const words = fc.array(fc.oneof(
    fc.string(),
    fc.constantFrom("--name", "-f", "-e", "--", "--cpus", "-qvh", "--=", "-", "--no-workspace"),
  ));
  fc.assert(fc.property(words, (given) => {
    try {
      const parsed = parseArgv("x run", command, given);
      const dashes = given.indexOf("--");
      if (parsed.kind === "given" && dashes < 0) assert.deepEqual(parsed.given.rest, []);
    } catch (error) {
      assert.ok(error instanceof BangerError && error.kind === "invalid", String(error));
    }
  }));
});
