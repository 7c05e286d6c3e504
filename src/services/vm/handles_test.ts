import assert from "node:assert/strict";
import fc from "fast-check";
import type { VmPaths } from "../../paths/paths.ts";
import { readHandles, writeHandles } from "./handles.ts";

function inTempDir(body: (paths: VmPaths) => void): void {
  const dir = Deno.makeTempDirSync();
  try {
    body(
      {
        stateDir: dir,
        runDir: `${dir}/run`,
        memory: `${dir}/memory`,
        handles: `${dir}/handles.json`,
      } as VmPaths,
    );
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

const nothing = { machine: null, passt: null, netFilter: null, network: null };

Deno.test("what was written is read again, change by change", () =>
  inTempDir((paths) => {
    const machine = {
      process: { pid: 7, startTicks: 9 },
      runDir: paths.runDir,
      stateDir: paths.stateDir,
      memoryPath: paths.memory,
    };
    writeHandles(paths, { machine });
    const passt = { pid: 8, startTicks: 10 };
    writeHandles(paths, { passt });
    assert.deepEqual(readHandles(paths), { ...nothing, machine, passt });
    assert.equal(Deno.statSync(paths.handles).mode! & 0o777, 0o600);
  }));

Deno.test("a file of another VM, a symlink, pid 1, a huge file and garbage count as nothing", () =>
  inTempDir((paths) => {
    const machine = {
      process: { pid: 7, startTicks: 9 },
      runDir: "/other",
      stateDir: paths.stateDir,
      memoryPath: paths.memory,
    };
    writeHandles(paths, { machine });
    assert.deepEqual(readHandles(paths), nothing);
    writeHandles(paths, { passt: { pid: 1, startTicks: 1 } });
    assert.deepEqual(readHandles(paths), nothing);
    Deno.removeSync(paths.handles);
    Deno.symlinkSync("/etc/passwd", paths.handles);
    assert.deepEqual(readHandles(paths), nothing);
    Deno.removeSync(paths.handles);
    Deno.writeTextFileSync(paths.handles, " ".repeat(100_000));
    assert.deepEqual(readHandles(paths), nothing);
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      Deno.writeTextFileSync(paths.handles, text);
      assert.deepEqual(readHandles(paths), nothing);
    }));
  }));
