import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import type { LaunchSpec } from "./host_processes.ts";
import { LocalProcesses } from "./local_processes.ts";

const never = new AbortController().signal;

async function withProgram(
  script: string,
  body: (
    dir: string,
    processes: LocalProcesses,
    spec: (part?: Partial<LaunchSpec>) => LaunchSpec,
  ) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-processes-" });
  try {
    const program = `${dir}/program with space`;
    await Deno.writeTextFile(program, script, { mode: 0o755 });
    const processes = new LocalProcesses({ qemuBin: program });
    await body(dir, processes, (part = {}) => ({
      program: "qemu",
      args: [],
      files: [],
      dropTo: null,
      stderrPath: `${dir}/stderr`,
      ...part,
    }));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a launched program gets its arguments, its files and a fixed environment", async () => {
  const script = `#!/bin/sh
printf '%s\\n' "$@" >&2
cat <&3 >&2
echo changed >&4
env | sort | cut -d= -f1 | tr '\\n' ' ' >&2
pwd >&2
exit 7
`;
  await withProgram(script, async (dir, processes, spec) => {
    await Deno.writeTextFile(`${dir}/in 'quoted' $(touch x)`, "content\n");
    await Deno.writeTextFile(`${dir}/out`, "old");
    const handle = await processes.launch(spec({
      args: ["-a b", "$(id)", "--"],
      files: [
        { path: `${dir}/in 'quoted' $(touch x)`, access: "read" },
        { path: `${dir}/out`, access: "read_write" },
      ],
    }));
    const exit = await processes.exited(handle, never);
    assert.equal(exit.code, 7);
    assert.equal(exit.signal, null);
    assert.match(exit.stderr, /^-a b\n\$\(id\)\n--\ncontent\n/);
    assert.match(exit.stderr, /LC_ALL PATH PWD /);
    assert.match(exit.stderr, /\n?\/\n$/);
    assert.doesNotMatch(exit.stderr, /HOME/);
    assert.equal(await Deno.readTextFile(`${dir}/out`), "changed\n");
  });
});

Deno.test("an eighth file is standard input, and a ninth is refused", async () => {
  const script = "#!/bin/sh\nread -r ninth <&9\nread -r line\necho $ninth $line >&2\n";
  await withProgram(script, async (dir, processes, spec) => {
    const files = Array.from({ length: 9 }, (_, index) => (
      { path: `${dir}/${index}`, access: "read" } as const
    ));
    for (const [index, { path }] of files.entries()) await Deno.writeTextFile(path, `${index}\n`);
    const handle = await processes.launch(spec({ files: files.slice(0, 8) }));
    assert.equal((await processes.exited(handle, never)).stderr, "6 7\n");
    await assert.rejects(processes.launch(spec({ files })), /9 files to pass, at most 8/);
  });
});

Deno.test("a launched program runs in a session of its own, without new privileges", async () => {
  const script = `#!/bin/sh
sed 's/.*) //' /proc/$$/stat | cut -d' ' -f4 >&2
grep NoNewPrivs /proc/$$/status >&2
`;
  await withProgram(script, async (_dir, processes, spec) => {
    const handle = await processes.launch(spec());
    const exit = await processes.exited(handle, never);
    assert.equal(exit.stderr, `${handle.pid}\nNoNewPrivs:\t1\n`);
  });
});

Deno.test("signals reach only the very process that was started", async () => {
  await withProgram("#!/bin/sh\nexec sleep 100\n", async (_dir, processes, spec) => {
    const handle = await processes.launch(spec());
    const stranger = { ...handle, startTicks: handle.startTicks + 1 };
    assert.equal(await processes.alive(handle), true);
    assert.equal(await processes.alive(stranger), false);
    assert.equal(await processes.signal(stranger, "SIGKILL"), false);
    assert.equal(await processes.alive(handle), true);
    assert.equal(await processes.signal(handle, "SIGTERM"), true);
    const exit = await processes.exited(handle, never);
    assert.deepEqual([exit.code, exit.signal], [null, "SIGTERM"]);
    assert.equal(await processes.signal(handle, "SIGTERM"), false);
  });
});

Deno.test("an adopted process is noticed when it ends, and waiting can be cancelled", async () => {
  await withProgram("#!/bin/sh\nexec sleep 100\n", async (_dir, processes, spec) => {
    const handle = await processes.launch(spec());
    const successor = new LocalProcesses();
    const impatient = new AbortController();
    setTimeout(() => impatient.abort(), 50);
    await assert.rejects(successor.exited(handle, impatient.signal));
    assert.equal(await successor.signal(handle, "SIGKILL"), true);
    const exit = await successor.exited(handle, never);
    assert.deepEqual(exit, { code: null, signal: null, stderr: "" });
    await processes.exited(handle, never);
  });
});

Deno.test("a file that is missing is said, not made", async () => {
  await withProgram("#!/bin/sh\nexit 0\n", async (dir, processes, spec) => {
    const handle = await processes.launch(spec({
      files: [{ path: `${dir}/missing`, access: "read_write" }],
    }));
    const exit = await processes.exited(handle, never);
    assert.equal(exit.code, 126);
    assert.match(exit.stderr, /missing: no such file/);
    await assert.rejects(Deno.stat(`${dir}/missing`), Deno.errors.NotFound);
  });
});

Deno.test("a program that is not installed is a precondition with a hint", async () => {
  const processes = new LocalProcesses({ qemuBin: "/nowhere/qemu" });
  await assert.rejects(
    processes.launch({
      program: "qemu",
      args: [],
      files: [],
      dropTo: null,
      stderrPath: "/nowhere/stderr",
    }),
    (error) => isBangerError(error, "precondition") && /apt-get install/.test(error.hint ?? ""),
  );
});

Deno.test("a role of its own is executed and fed through descriptors, with its environment", async () => {
  const dir = await Deno.makeTempDir({ prefix: "banger-processes-" });
  try {
    await Deno.copyFile("/bin/sh", `${dir}/program`);
    await Deno.chmod(`${dir}/program`, 0o555);
    await Deno.writeTextFile(`${dir}/code 'x'`, 'echo "$1 $OWN" >&2; readlink /proc/$$/exe >&2');
    const netFilter = {
      programPath: `${dir}/program`,
      stdinPath: `${dir}/code 'x'`,
      env: { OWN: "variable" },
      argsFor: (args: readonly string[]) => ["-s", "--", ...args],
    };
    const spec: LaunchSpec = {
      program: "net_filter",
      args: ["word"],
      files: [],
      dropTo: null,
      stderrPath: `${dir}/stderr`,
    };
    const processes = new LocalProcesses({ netFilter });
    const { code, stderr } = await processes.exited(await processes.launch(spec), never);
    assert.equal(stderr, `word variable\n${dir}/program\n`);
    assert.equal(code, 0);
    await assert.rejects(
      new LocalProcesses().launch(spec),
      (error) => isBangerError(error, "internal"),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
