import assert from "node:assert/strict";
import type { ImageRun } from "../../model/artefacts.ts";
import { execOf, type GuestCommand } from "./image_defaults.ts";

const command: GuestCommand = {
  argv: ["x"],
  cwd: "/here",
  env: { A: "mine" },
  user: "me",
  stdin: false,
  imageDefaults: true,
  workspace: "inside",
};
const run: ImageRun = {
  env: ["PATH=/bin", "A=b=c", "A=last"],
  workingDir: "/srv",
  user: "app:8",
  entrypoint: ["serve"],
  cmd: ["--now"],
};
const defaults = {
  env: { PATH: "/bin", A: "last" },
  cwd: "/srv",
  user: "app:8",
  argv: ["serve", "--now"],
};
const vm = { workspace: "repo", imageDefaults: true, command: null };
const asked = { argv: ["x"], cwd: "/here", env: { A: "mine" }, user: "me", stdin: false };

Deno.test("what the image says goes beside what the caller says, and the workspace is its user's", () => {
  assert.deepEqual(execOf(command, vm, run), {
    ...asked,
    workspace: { name: "repo", owner: "app:8", isNew: false },
    image: defaults,
  });
  const empty = { env: [], workingDir: "", user: "", entrypoint: [], cmd: [] };
  assert.deepEqual(execOf(command, vm, empty), {
    ...asked,
    workspace: { name: "repo", owner: null, isNew: false },
    image: { env: {}, cwd: null, user: null, argv: [] },
  });
});

Deno.test("a command without the image's defaults still finds the workspace where it is", () => {
  const { workspace, image } = execOf({ ...command, imageDefaults: false }, vm, run);
  assert.deepEqual([workspace?.owner, image], ["app:8", null]);
});

Deno.test("a VM without them has them nowhere, as one whose image says nothing", () => {
  for (
    const exec of [execOf(command, { ...vm, imageDefaults: false }, run), execOf(command, vm, null)]
  ) {
    assert.deepEqual([exec.workspace?.owner, exec.image], [null, null]);
  }
});

Deno.test("a workspace is named only where there is one and it is asked for", () => {
  assert.equal(execOf(command, { ...vm, workspace: null }, run).workspace, null);
  assert.equal(execOf({ ...command, workspace: "none" }, vm, run).workspace, null);
  assert.equal(execOf({ ...command, workspace: "new" }, vm, run).workspace?.isNew, true);
});

Deno.test("a VM's own command is run where none is given, beside what the image says", () => {
  const own = { ...vm, command: ["npm", "start"] };
  const nothing = { ...command, argv: [] };
  assert.deepEqual(execOf(nothing, own, run).argv, ["npm", "start"]);
  assert.deepEqual(execOf(nothing, own, null).argv, ["npm", "start"]);
  assert.deepEqual(execOf(command, own, run).argv, ["x"]);
  assert.deepEqual(execOf(nothing, vm, run).argv, []);
  // Who leaves the image's defaults out gets a shell.
  assert.deepEqual(execOf({ ...nothing, imageDefaults: false }, own, run).argv, []);
});
