/**
 * Copies of host repositories: what a guest gets, and that a hostile repository runs nothing, leads
 * nowhere and never blocks. Needs git and tar, neither root nor a VM.
 */
import assert from "node:assert/strict";
import { archiveRepository } from "../../src/repository/archive_repository.ts";
import { discoverRepository } from "../../src/repository/discover_repository.ts";
import { HostGit } from "../../src/repository/host_git.ts";
import { inspectRepository, type RepositoryContents } from "../../src/repository/repository.ts";

const identity = "-c user.name=a -c user.email=a@example.test -c protocol.file.allow=always";

interface Scene {
  /** Absolute, with `repo`, `copy` and room for more. */
  readonly dir: string;
  readonly repo: string;
  readonly canary: string;
}

async function withScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "banger-repository-" }));
  try {
    const scene = { dir, repo: `${dir}/repo`, canary: `${dir}/canary` };
    await sh(
      scene,
      `mkdir repo && cd repo && git init -q -b main && echo one > a && mkdir d && echo two > d/b &&
      git add . && git ${identity} commit -qm first`,
    );
    await body(scene);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Runs a script in the scene's directory, without the user's own git configuration. */
async function sh(scene: Scene, script: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euc", script],
    cwd: scene.dir,
    env: { HOME: scene.dir, CANARY: scene.canary, GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

interface Copy {
  readonly contents: RepositoryContents;
  readonly notices: readonly string[];
}

/** Copies `path` as a guest would get it, to `copy`. */
async function copy(scene: Scene, path = scene.repo, branch: string | null = null): Promise<Copy> {
  const git = new HostGit({ home: scene.dir, xdgConfigHome: undefined, sudoUid: undefined });
  const signal = AbortSignal.timeout(30_000);
  const found = await discoverRepository(git, path, signal);
  const contents = await inspectRepository(git, found, branch, signal);
  const notices = [...contents.notices];
  await Deno.remove(`${scene.dir}/copy`, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${scene.dir}/copy`);
  const tar = new Deno.Command("busybox", {
    args: ["tar", "-x", "-f", "-", "-C", `${scene.dir}/copy`],
    stdin: "piped",
  }).spawn();
  const writer = tar.stdin.getWriter();
  for await (const chunk of archiveRepository(contents, signal, (text) => notices.push(text))) {
    await writer.write(chunk);
  }
  await writer.close();
  await contents.close();
  assert.ok((await tar.status).success);
  return { contents, notices };
}

async function assertNothingRan(scene: Scene): Promise<void> {
  await assert.rejects(Deno.lstat(scene.canary), Deno.errors.NotFound, "the canary was touched");
}

Deno.test("a copy has the files, the state and the history of its repository", () =>
  withScene(async (scene) => {
    await sh(
      scene,
      `cd repo && echo '*.o' > .gitignore && echo x > x.o && echo new > new && echo more >> a &&
      git rm -q d/b && ln -s a link && git tag v1 && git branch topic &&
      git remote add origin https://user:secret@example.test/x.git && git config branch.main.remote origin &&
      git config branch.main.merge refs/heads/main && git ${identity} stash -q && git stash apply -q --index`,
    );
    const before = await sh(scene, "cd repo && git status --short --branch");
    const { contents } = await copy(scene);
    assert.equal(contents.name, "repo");
    assert.equal(contents.branch, "main");
    assert.equal(await sh(scene, "cd copy && git status --short --branch"), before);
    assert.equal(
      await sh(
        scene,
        "cd copy && git log --format=%s && git branch --format='%(refname:short)' && git tag",
      ),
      "first\nmain\ntopic\nv1\n",
    );
    assert.equal(await sh(scene, "cd copy && git stash list | wc -l"), "1\n");
    assert.equal(
      await sh(scene, "cd copy && git fsck --strict 2>&1 | grep -v dangling || true"),
      "",
    );
    assert.equal(
      await sh(scene, "cd copy && git remote get-url origin && ls"),
      "https://example.test/x.git\na\nlink\nnew\n",
    );
    await sh(scene, `cd copy && git add . && git ${identity} commit -qm second && git diff HEAD~`);
    assert.equal(await sh(scene, "cd repo && git status --short --branch"), before);
  }));

Deno.test("work trees, submodules, inner repositories and unborn branches are copied with their history", () =>
  withScene(async (scene) => {
    await sh(
      scene,
      `git init -q -b main lib && cd lib && echo lib > l && git add . && git ${identity} commit -qm lib &&
      cd ../repo && git ${identity} submodule add -q ../lib lib && git ${identity} commit -qm sub &&
      git init -q -b main inner && echo i > inner/i && git worktree add -q ../tree -b side && mkdir deep`,
    );
    await copy(scene, `${scene.repo}/deep`);
    assert.equal(
      await sh(
        scene,
        "cd copy && git status --short && git -C lib log --format=%s && cat inner/i lib/l",
      ),
      "?? inner/\nlib\ni\nlib\n",
    );
    const { contents } = await copy(scene, `${scene.dir}/tree`);
    assert.equal(contents.branch, "side");
    assert.equal(
      await sh(scene, "cd copy && git status --short && git log --format=%s"),
      "sub\nfirst\n",
    );
    await sh(scene, "git init -q -b trunk empty && echo x > empty/x");
    assert.equal((await copy(scene, `${scene.dir}/empty`)).contents.branch, "trunk");
    assert.equal(
      await sh(scene, "cd copy && git status --short && git branch --show-current"),
      "?? x\ntrunk\n",
    );
  }));

Deno.test("a branch is made from the current commit, taken when it is the same, else checked out later", () =>
  withScene(async (scene) => {
    await sh(
      scene,
      `cd repo && git branch same && git ${identity} commit -q --allow-empty -m 2 && git branch here`,
    );
    const on = async (branch: string) => {
      const { contents } = await copy(scene, scene.repo, branch);
      return [
        contents.checkout,
        (await sh(scene, "cd copy && git branch --show-current && git log --format=%s -1")).trim(),
      ];
    };
    assert.deepEqual(await on("new/one"), [null, "new/one\n2"]);
    assert.deepEqual(await on("here"), [null, "here\n2"]);
    assert.deepEqual(await on("same"), ["same", "main\n2"]);
    for (const bad of ["-x", "a..b", "a b", "x.lock", "", "HEAD"]) {
      await assert.rejects(copy(scene, scene.repo, bad), { kind: "invalid" }, bad);
    }
  }));

Deno.test("many loose objects travel as one pack", () =>
  withScene(async (scene) => {
    await sh(
      scene,
      `cd repo && for i in {1..80}; do echo $i > f$i; done && git add . && git ${identity} commit -qm many`,
    );
    await copy(scene);
    assert.equal(
      await sh(scene, "cd copy && git log --format=%s && git status --short"),
      "many\nfirst\n",
    );
    assert.equal(
      await sh(
        scene,
        "cd copy && git fsck 2>&1 && git count-objects -v | grep -E '^(count|packs)'",
      ),
      "count: 0\npacks: 1\n",
    );
    assert.match(await sh(scene, "cd repo && git count-objects -v"), /packs: 0/);
  }));

Deno.test("shallow clones, alternates and packed refs keep their history", () =>
  withScene(async (scene) => {
    await sh(
      scene,
      `cd repo && git ${identity} commit -q --allow-empty -m 2 && git pack-refs --all && git gc -q && cd .. &&
      git ${identity} clone -q --depth 1 file://$PWD/repo shallow && git clone -q --shared repo shared`,
    );
    await copy(scene, `${scene.dir}/shallow`);
    assert.equal(
      await sh(scene, "cd copy && git log --format=%s && git fsck 2>&1 | grep -v dangling || true"),
      "2\n",
    );
    const { notices } = await copy(scene, `${scene.dir}/shared`);
    assert.match(notices.join(), /also copied from the alternate objects/);
    assert.equal(
      await sh(
        scene,
        "cd copy && git log --format=%s && git fsck 2>&1 && test ! -e .git/objects/info/alternates",
      ),
      "2\nfirst\n",
    );
    assert.equal(await sh(scene, "cd copy && git config --get-all remote.origin.url || true"), "");
  }));

/** What a hostile repository does; each must be copied with nothing run. */
const harmless: Readonly<Record<string, string>> = {
  "core.fsmonitor": `git config core.fsmonitor "touch $CANARY; false"`,
  "core.fsmonitor and untracked cache":
    `git config core.fsmonitor "touch $CANARY" && git config core.untrackedCache true`,
  "hooks":
    `for h in post-index-change post-checkout pre-commit reference-transaction fsmonitor-watchman; do
    printf '#!/bin/sh\\ntouch %s\\n' "$CANARY" > .git/hooks/$h; chmod +x .git/hooks/$h; done`,
  "core.hooksPath":
    `mkdir h && printf '#!/bin/sh\\ntouch %s\\n' "$CANARY" > h/post-index-change && chmod +x h/* && git config core.hooksPath h`,
  "filters":
    `echo '* filter=x diff=x merge=x' > .gitattributes && git config filter.x.clean "touch $CANARY; cat" &&
    git config filter.x.smudge "touch $CANARY; cat" && git config filter.x.process "touch $CANARY" && git config filter.x.required true && touch a`,
  "textconv": `echo '* diff=x' > .gitattributes && git config diff.x.textconv "touch $CANARY"`,
  "external diff":
    `git config diff.external "touch $CANARY" && git config diff.x.command "touch $CANARY"`,
  "aliases":
    `git config alias.ls-files "!touch $CANARY" && git config alias.rev-parse "!touch $CANARY" && git config alias.config "!touch $CANARY"`,
  "pager and editor":
    `git config core.pager "touch $CANARY" && git config pager.ls-files "touch $CANARY" && git config core.editor "touch $CANARY"`,
  "sshCommand and askPass":
    `git config core.sshCommand "touch $CANARY" && git config core.askPass "touch $CANARY" && git config credential.helper "!touch $CANARY"`,
  "include":
    `printf '[core]\\n\\tfsmonitor = touch %s\\n' "$CANARY" > evil && git config include.path ../evil`,
  "includeIf":
    `printf '[core]\\n\\tfsmonitor = touch %s\\n' "$CANARY" > evil && git config includeIf.gitdir:/.path "$PWD/evil"`,
  "submodule URL with an option":
    `printf '[submodule "x"]\\n\\tpath = x\\n\\turl = -oProxyCommand=touch %s\\n\\tupdate = !touch %s\\n' "$CANARY" "$CANARY" > .gitmodules && git add .gitmodules &&
    git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),x`,
  "remote helper":
    `git remote add x "ext::sh -c touch% $CANARY" && git config remote.x.uploadpack "touch $CANARY" && git config remote.x.vcs x`,
  "promisor":
    `git config extensions.partialClone x && git config remote.x.promisor true && git config remote.x.url "ext::sh -c touch% $CANARY" && rm -r .git/objects/[0-9a-f]*`,
  "alternateRefsCommand":
    `git config core.alternateRefsCommand "touch $CANARY" && git config core.gitProxy "touch $CANARY"`,
  "attributes of its own": `git config core.attributesFile /dev/zero`,
  "FIFO in the work tree": `mkfifo pipe && rm a && mkfifo a`,
  "FIFO among the objects": `mkfifo .git/objects/pack/pack-${
    "0".repeat(40)
  }.pack .git/objects/00 && mkdir -p .git/objects/01 && mkfifo .git/objects/01/${"2".repeat(38)}`,
  "FIFO among the refs": `mkfifo .git/refs/heads/x .git/logs/refs/stash`,
  "socket and device":
    `python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")' 2>/dev/null || true; mknod null c 1 3 2>/dev/null || true; git add -f . 2>/dev/null || true`,
  "names with newlines, hyphens, non-UTF-8": `touch -- -rf --checkpoint-action=exec=touch "new
line" $'\\xff\\xfe' $'tab\\t' '*' "quote'" '@x' ./$'\\x01' && git add -A`,
  "a long path":
    `p=$(printf 'x%.0s' {1..200}); d=.; for i in 1 2 3 4 5; do d=$d/$p; done; mkdir -p $d && echo deep > $d/f && git add -A`,
  "alternates that lead to /":
    `echo / > .git/objects/info/alternates && echo /etc >> .git/objects/info/alternates && echo ../../../.. >> .git/objects/info/alternates`,
  "a tracked name that leads through a link":
    `git rm -rq --cached d && rm -r d && ln -s /etc d && git update-index --add --cacheinfo 100644,$(git hash-object -w a),d/passwd`,
  "symbolic refs that lead outside":
    `printf 'ref: ../../../etc/passwd\\n' > .git/refs/heads/evil && ln -s /etc/passwd .git/refs/heads/link`,
  "a symbolic link instead of a reflog":
    `mkdir -p .git/logs/refs && ln -s /etc/passwd .git/logs/refs/stash`,
  "worktree configuration":
    `git config extensions.worktreeConfig true && git config --worktree core.fsmonitor "touch $CANARY"`,
  "an inner repository with a monitor":
    `git init -q inner && git -C inner config core.fsmonitor "touch $CANARY" && touch inner/f`,
  "odd values in the configuration":
    `git config branch.main.remote $'a\\nb"\\\\' && git config 'branch.x"\\y.merge' refs/heads/z && git config user.name $'ev"il\\n[core]\\nfsmonitor=x'`,
};

for (const [name, script] of Object.entries(harmless)) {
  Deno.test(`hostile repository, copied with nothing run: ${name}`, () =>
    withScene(async (scene) => {
      await sh(scene, `cd repo && { ${script}\n}`);
      await Deno.remove(scene.canary).catch(() => {});
      await copy(scene);
      await assertNothingRan(scene);
      const script2 =
        "cd copy && { git status >/dev/null 2>&1 || true; } && find . -type p -o -type s -o -type b -o -type c";
      assert.equal(await sh(scene, script2), "");
      await assertNothingRan(scene);
      assert.equal(
        await sh(scene, `cd copy && grep -rlE "canary|${scene.dir}" .git/config || true`),
        "",
      );
      assert.equal(await sh(scene, "cd copy && ls -A .git/hooks 2>/dev/null || true"), "");
      assert.equal(await sh(scene, "cd copy && grep -rl root:x: . || true"), "");
    }));
}

/** What is refused, with the code of the refusal. */
const refused: Readonly<Record<string, readonly [script: string, code: string | undefined]>> = {
  ".git is a link to another repository": [
    "git init -q ../other && mv .git ../gone && ln -s ../other/.git .git",
    "REPOSITORY_FOREIGN_GITDIR",
  ],
  ".git is a file that leads to another repository": [
    `git init -q ../other && mv .git ../gone && echo "gitdir: $PWD/../other/.git" > .git`,
    "REPOSITORY_FOREIGN_GITDIR",
  ],
  "core.worktree leads elsewhere": [
    "mkdir ../secret && echo s > ../secret/s && git config core.worktree ../../secret",
    "REPOSITORY_FOREIGN_GITDIR",
  ],
  "core.worktree is /": ["git config core.worktree /", "REPOSITORY_FOREIGN_GITDIR"],
  "commondir leads elsewhere": [
    "git init -q ../other && echo ../../other/.git > .git/commondir",
    "REPOSITORY_FOREIGN_GITDIR",
  ],
  ".git is a FIFO": ["mv .git ../gone && mkfifo .git", "REPOSITORY_SPECIAL_FILE"],
  ".git/HEAD is a FIFO": ["rm .git/HEAD && mkfifo .git/HEAD", "REPOSITORY_SPECIAL_FILE"],
  ".git/config is a FIFO": ["rm .git/config && mkfifo .git/config", "REPOSITORY_SPECIAL_FILE"],
  ".git/index is a FIFO": ["rm .git/index && mkfifo .git/index", "REPOSITORY_SPECIAL_FILE"],
  ".git/config is a link to a device": [
    "rm .git/config && ln -s /dev/zero .git/config",
    "REPOSITORY_SPECIAL_FILE",
  ],
  ".gitignore is a FIFO": ["mkfifo .gitignore", "REPOSITORY_SPECIAL_FILE"],
  "info/exclude leads to a device": [
    "mkdir -p .git/info && rm -f .git/info/exclude && ln -s /dev/zero .git/info/exclude",
    "REPOSITORY_SPECIAL_FILE",
  ],
};

for (const [name, [script, code]] of Object.entries(refused)) {
  Deno.test(`hostile repository, refused: ${name}`, () =>
    withScene(async (scene) => {
      await sh(scene, `cd repo && ${script}`);
      await assert.rejects(copy(scene), { kind: "precondition", code });
      await assertNothingRan(scene);
    }));
}

Deno.test("no repository, a bare one, another user's and a damaged one are told apart", () =>
  withScene(async (scene) => {
    await sh(
      scene,
      "mkdir plain && git init -q --bare bare.git && cp -r repo damaged && echo junk > damaged/.git/HEAD",
    );
    await assert.rejects(copy(scene, `${scene.dir}/plain`), {
      kind: "not_found",
      code: "NOT_A_REPOSITORY",
    });
    await assert.rejects(copy(scene, `${scene.dir}/nowhere`), {
      kind: "not_found",
      message: /no such directory/,
    });
    await assert.rejects(copy(scene, `${scene.dir}/repo/a`), {
      kind: "invalid",
      message: /not a directory/,
    });
    await assert.rejects(copy(scene, `${scene.dir}/bare.git`), {
      kind: "precondition",
      message: /bare/,
    });
    await assert.rejects(copy(scene, `${scene.dir}/damaged`), { name: "BangerError" });
    if (Deno.uid() !== 0) return;
    await sh(scene, "chown -R 65534 repo");
    await assert.rejects(copy(scene), {
      kind: "precondition",
      code: "REPOSITORY_DUBIOUS_OWNERSHIP",
    });
  }));

Deno.test("a FIFO that git itself would open ends in a bound, not in a hang", () =>
  withScene(async (scene) => {
    await sh(scene, "cd repo && mkdir -p sub && mkfifo sub/.gitignore && touch sub/x");
    const git = new HostGit({ home: scene.dir, xdgConfigHome: undefined, sudoUid: undefined });
    const found = await discoverRepository(git, scene.repo, AbortSignal.timeout(10_000));
    const started = performance.now();
    await assert.rejects(inspectRepository(git, found, null, AbortSignal.timeout(1_500)), {
      kind: "cancelled",
    });
    assert.ok(performance.now() - started < 5_000);
  }));
