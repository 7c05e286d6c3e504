import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { checkPrivateDir, ensurePrivateDir } from "./ensure_dir.ts";
import { homeInPasswdText, pathsInput } from "./environment.ts";
import { maxSocketPathBytes, Paths } from "./paths.ts";

const vmId = "0123456789abcdef";

Deno.test("a home of 200 characters and no runtime directory still give short socket paths", () => {
  const paths = new Paths({ uid: 4_294_967_294, home: `/${"h".repeat(199)}` });
  const vm = paths.vm(vmId);
  for (
    const socket of [
      paths.daemonSocket,
      vm.qmpSocket,
      vm.agentSocket,
      vm.consoleSocket,
      vm.networkSocket,
    ]
  ) {
    assert.ok(socket.length <= maxSocketPathBytes, socket);
  }
  assert.equal(paths.runtimeBase, "/tmp/banger-4294967294");
  assert.equal(paths.stateDir, `/${"h".repeat(199)}/.local/state/banger`);
});

Deno.test("a runtime directory that is too long for sockets is not used", () => {
  const input = { uid: 7, home: "/h" };
  const short = new Paths({ ...input, xdgRuntimeDir: "/run/user/7" });
  const long = new Paths({ ...input, xdgRuntimeDir: `/${"r".repeat(80)}` });
  assert.equal(short.runtimeBase, "/run/user/7/banger");
  assert.equal(long.runtimeBase, "/tmp/banger-7");
});

Deno.test("two state directories of one user have two sockets", () => {
  const one = new Paths({ uid: 7, home: "/a" });
  const two = new Paths({ uid: 7, home: "/b" });
  assert.notEqual(one.daemonSocket, two.daemonSocket);
  assert.equal(one.daemonSocket, new Paths({ uid: 7, home: "/a" }).daemonSocket);
});

Deno.test("root's runtime directory can be passed by its VMMs", () => {
  const paths = new Paths({ uid: 0, home: "/root", xdgRuntimeDir: "/run/user/0" });
  assert.equal(paths.runtimeBase, "/run/banger-0");
  assert.equal(paths.runtimeDirMode, 0o711);
});

Deno.test("relative XDG values are ignored", () => {
  const paths = new Paths({ uid: 7, home: "/h", xdgStateHome: "x", xdgConfigHome: "/c/" });
  assert.equal(paths.stateDir, "/h/.local/state/banger");
  assert.equal(paths.configFile, "/c/banger/config.toml");
});

Deno.test("names that are not ids or digests never become paths", () => {
  const paths = new Paths({ uid: 7, home: "/h" });
  assert.throws(() => paths.vm("../../etc/passwd1"), (e) => isBangerError(e, "internal"));
  assert.throws(() => paths.artefactDir("image", "sha256:../x"), (e) => isBangerError(e));
  const digest = `sha256:${"ab".repeat(32)}`;
  assert.equal(
    paths.artefactDir("kernel", digest),
    `/h/.local/state/banger/kernels/${"ab".repeat(16)}`,
  );
});

Deno.test("the home directory comes from passwd when HOME is unset", () => {
  const text = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::nowhere:/bin/false\n";
  assert.equal(homeInPasswdText(text, 0), "/root");
  assert.equal(homeInPasswdText(text, 65534), undefined);
  assert.throws(() => pathsInput({}, 4_000_000_000), (e) => isBangerError(e, "precondition"));
  assert.equal(pathsInput({ HOME: "/h/" }, 5).home, "/h");
});

Deno.test("a runtime directory of another user is ignored", () => {
  assert.equal(pathsInput({ HOME: "/h", XDG_RUNTIME_DIR: "/tmp" }, 12345).xdgRuntimeDir, undefined);
});

Deno.test("planted directories are refused and modes corrected", () => {
  const dir = Deno.makeTempDirSync();
  const uid = Deno.uid() ?? 0;
  try {
    Deno.mkdirSync(`${dir}/target`);
    Deno.symlinkSync(`${dir}/target`, `${dir}/link`);
    Deno.writeTextFileSync(`${dir}/file`, "");
    assert.throws(() => ensurePrivateDir(`${dir}/link`, uid), /symbolic link/);
    ensurePrivateDir(`${dir}/link`, uid, 0o700, "follow_symlink");
    assert.equal(Deno.lstatSync(`${dir}/link`).isSymlink, true);
    assert.throws(
      () => ensurePrivateDir(`${dir}/link`, uid + 1, 0o700, "follow_symlink"),
      /belongs to user/,
    );
    assert.throws(() => ensurePrivateDir(`${dir}/file`, uid), /not a directory/);
    assert.throws(() => checkPrivateDir(`${dir}/target`, uid + 1), /belongs to user/);
    Deno.chmodSync(`${dir}/target`, 0o777);
    ensurePrivateDir(`${dir}/target`, uid);
    assert.equal((Deno.statSync(`${dir}/target`).mode ?? 0) & 0o777, 0o700);
    ensurePrivateDir(`${dir}/a/b`, uid, 0o711);
    assert.equal((Deno.statSync(`${dir}/a/b`).mode ?? 0) & 0o777, 0o711);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
