/**
 * Images as people make them, each booted for real: what a command, `vm exec` and `vm ssh` find in a guest
 * of it. None of them has anything of banger's in it, a network set-up or a package manager that is used.
 */
import assert from "node:assert/strict";
import { findProgram } from "../../src/process/find_program.ts";
import { run } from "../../src/process/run.ts";
import { DockerRegistry, registryProgram } from "../integration/docker_registry.ts";
import type { Banger, BangerRun } from "../support/banger.ts";
import { firstRunMs, vmTest } from "../support/end_to_end.ts";
import {
  busyboxImage,
  debianTar,
  type GuestImage,
  muslImage,
  oddValue,
  packageTars,
  pushImage,
  staticImage,
  systemdLayer,
} from "../support/guest_images.ts";
import { tarOf } from "../support/layer_fixture.ts";
import { skipUnless } from "../support/require.ts";

const missing: string[] = [];
if (await registryProgram() === undefined) missing.push("docker-registry");
for (const program of ["skopeo", "musl-gcc", "mmdebstrap", "script"]) {
  if (await findProgram(program) === undefined) missing.push(program);
}

const bound: BangerRun = { timeoutMs: firstRunMs };

/** A VM that stays, of one of the test's images. */
class Guest {
  readonly #banger: Banger;
  readonly name: string;
  readonly reference: string;

  constructor(banger: Banger, name: string, reference: string) {
    this.#banger = banger;
    this.name = name;
    this.reference = reference;
  }

  /** `vm run`, without a command when there is none. */
  run(
    command: readonly string[],
    options: readonly string[] = ["--no-workspace"],
    how: BangerRun = {},
  ) {
    const words = command.length === 0 ? [] : ["--", ...command];
    const what = [
      "--name",
      this.name,
      "--image",
      this.reference,
      "--cpus",
      "1",
      "--memory",
      "512M",
      ...options,
    ];
    return this.#banger.run(["vm", "run", "--quiet", ...what, ...words], { ...bound, ...how });
  }

  /** stdout of `vm exec`, which must succeed. */
  exec(...command: string[]) {
    return this.#banger.ok(["vm", "exec", this.name, "--", ...command]);
  }

  /** stdout of `vm ssh -- CMD`, which must succeed. */
  ssh(...command: string[]) {
    return this.#banger.ok(["vm", "ssh", this.name, "--", ...command]);
  }

  /** What a terminal shows of `vm ssh` in which `keys` are typed. */
  async terminal(keys: string, ...options: string[]): Promise<string> {
    const line = ["vm ssh", ...options, this.name].join(" ");
    const { stdout, stderr } = await this.#banger.script(
      `printf %s "$KEYS" | SHELL=/bin/sh TERM=xterm script -qefc "$PROGRAM ${line}" /dev/null`,
      { env: { KEYS: keys } },
    );
    // What a terminal shows is more than text.
    // deno-lint-ignore no-control-regex
    return (stdout + stderr).replaceAll(/\r|\x1b\[\?2004[hl]/g, "");
  }
}

async function busybox(guest: Guest) {
  // No shell is named: the image's own one reads what comes.
  const script = 'id; pwd; printf "%s\\n" "$ODD"; ls -ld /tmp; df -m /; ls /init /sbin 2>&1';
  const { code, stdout, stderr } = await guest.run([], ["--no-workspace", "--disk", "24G"], {
    stdin: `${script}; exit 3\n`,
  });
  assert.equal(code, 3, stderr);
  assert.ok(stdout.startsWith("uid=0(root) gid=0"), stdout);
  assert.ok(stdout.includes(`\n/root\n${oddValue}\ndrwxrwxrwt`), stdout);
  // What the file system itself needs is left out.
  const mib = Number(/ (\d+) +\d+ +\d+ +\d+% \/\n/.exec(stdout)?.[1]);
  assert.ok(mib > 23_000 && mib < 24 * 1024, stdout);
  const environment = await guest.ssh("env");
  assert.ok(environment.includes(`ODD=${oddValue}\n`), environment);
  assert.match(environment, /^HOME=\/root$/m);
  assert.match(environment, /^USER=root$/m);
  assert.match(environment, /^SSH_CONNECTION=/m);
  assert.doesNotMatch(environment, /banger/);
  assert.equal(await guest.exec("sh", "-c", 'printf %s "$ODD"'), oddValue);
  const shown = await guest.terminal('tty; echo "[$ODD]"; pwd; exit 4\n');
  assert.match(shown, /^\/dev\/pts\/0$/m);
  assert.ok(shown.includes(`[${oddValue}]`), shown);
}

async function musl(guest: Guest) {
  // It has no shell, so that its CMD is run.
  const { code, stdout, stderr } = await guest.run([]);
  assert.deepEqual([code, stdout], [0, "root /data with musl 1\n"], stderr);
  assert.equal(await guest.exec("facts", "0"), "root /data with musl 2\n");
  assert.equal(await guest.ssh("facts", "0"), "root /data with musl 2\n");
}

async function nothingElse(guest: Guest, banger: Banger) {
  const { code, stdout, stderr } = await guest.run([]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^MADE=1$/m);
  assert.match(stdout, /^FROM=cmd$/m);
  assert.match(await guest.exec("/env", "A=b"), /^A=b$/m);
  assert.match(await guest.ssh("/env", "A=b"), /^A=b$/m);
  // Not even a shell: the command that the image names.
  assert.match(await guest.terminal(""), /^FROM=cmd$/m);
  for (const verb of ["exec", "ssh"]) {
    const refused = await banger.run(["vm", verb, guest.name, "--", "sh"]);
    assert.equal(refused.code, 127);
    assert.match(refused.stderr, /Cannot run the command in the guest: no program "sh"/);
  }
  const noImage = await banger.run(["vm", "ssh", "--no-image-defaults", guest.name]);
  assert.equal(noImage.code, 127);
  assert.match(noImage.stderr, /neither a shell nor a command/);
}

async function systemd(guest: Guest, banger: Banger) {
  const { code, stdout, stderr } = await guest.run(["cat", "/etc/debian_version", "/etc/kept"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^12\.\d+\nabove\n$/);
  const state = `for turn in $(seq 120); do
      systemctl is-active --quiet basic.target 2>/dev/null && break
      sleep 0.5
    done; systemctl is-active basic.target; cat /proc/1/comm; [ -e /etc/motd ] || echo gone`;
  const all = await banger.run(["vm", "exec", guest.name, "--", "sh", "-c", state], bound);
  assert.equal(all.stdout, "active\nsystemd\ngone\n", all.stderr);
  assert.equal(await guest.ssh("sh", "-c", "cat /proc/1/comm; id -un"), "systemd\nroot\n");
}

async function plain(guest: Guest) {
  const script = "ls /sbin/init; cat /proc/1/comm; bash -c 'echo $ODD'";
  const { code, stdout, stderr } = await guest.run(["sh", "-c", script]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `kit-init\n${oddValue.replaceAll("\n", " ")}\n`);
  assert.equal(await guest.exec("sh", "-c", 'printf %s "$ODD"; pwd'), `${oddValue}/root\n`);
  assert.equal(await guest.ssh("sh", "-c", 'printf %s "$ODD"; pwd'), `${oddValue}/root\n`);
  // An agent that hangs keeps nobody out.
  const stopAgent = "sleep 1; kill -STOP $(/.banger/bin/busybox pidof deno)";
  await guest.exec("sh", "-c", `(${stopAgent}) >/dev/null 2>&1 &`);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const shown = await guest.terminal('id -un; echo "[$ODD]"; exit\n');
  assert.match(
    shown,
    /^note: The guest's agent does not answer; this is a plain shell of root's$/m,
  );
  assert.match(shown, /^root\n\[\]$/m);
}

/** What an image with a USER, who has no home directory yet, finds of a copied repository. */
async function user(guest: Guest, banger: Banger, repository: string) {
  const commit = "git -c user.name=b -c user.email=b@example.test commit -qam second";
  const script =
    `id; pwd; echo $HOME; git log --format=%s; echo two >tracked; ${commit} && git log --oneline | wc -l
    git status --short; stat -c %U:%G .git/HEAD .. .; cat .ran; exit 5`;
  const { code, stdout, stderr } = await guest.run(["sh", "-c", script], [], { cwd: repository });
  assert.equal(
    stdout,
    "uid=1000(app) gid=1000(app) groups=1000(app),27(sudo)\n/home/app/my-repo\n/home/app\nfirst\n2\n" +
      "app:app\napp:app\napp:app\n",
    stderr,
  );
  assert.equal(code, 5);
  const facts = ["sh", "-c", 'id -un; pwd; printf %s "$ODD"'];
  const expected = `app\n/home/app/my-repo\n${oddValue}`;
  assert.equal(await guest.exec(...facts), expected);
  assert.equal(await guest.ssh(...facts), expected);
  // The shell of such a user lets nobody in; the terminal is the user's own.
  const shown = await guest.terminal('id -un; pwd; echo "$0"; echo >$(tty) && echo mine; exit\n');
  assert.match(shown, /^app\n[^]*^\/home\/app\/my-repo\n[^]*^\/bin\/bash\n[^]*^mine$/m);
  // As root without the image's variables, and still in the repository.
  const root = 'id -un; pwd; printf %s "$ODD"; git log --format=%s | tail -n 1';
  const asRoot = "root\n/home/app/my-repo\nfirst\n";
  for (const verb of ["exec", "ssh"]) {
    const plain = ["vm", verb, "--no-image-defaults", guest.name, "--", "sh", "-c", root];
    assert.equal(await banger.ok(plain), asRoot);
  }
  const other = await banger.ok(["vm", "exec", "--user", "daemon", guest.name, "--", "id", "-un"]);
  assert.equal(other, "daemon\n");
}

/** The same without what the image says. */
async function withoutDefaults(guest: Guest, _banger: Banger, repository: string) {
  const script = 'id -u; pwd; printf "%s\n" "$ODD"; git log --format=%s';
  const options = ["--no-image-defaults", "--branch", "topic"];
  const { code, stdout, stderr } = await guest.run(["sh", "-c", script], options, {
    cwd: repository,
  });
  assert.deepEqual([code, stdout], [0, "0\n/root/my-repo\n\nfirst\n"], stderr);
  assert.equal(await guest.ssh("sh", "-c", "id -u; pwd"), "0\n/root/my-repo\n");
  assert.equal(await guest.exec("git", "branch", "--show-current"), "topic\n");
}

/** A uid that no file knows, and a directory that is not there. */
async function numeric(guest: Guest, _banger: Banger, repository: string) {
  const script = "id; pwd; echo $HOME; stat -c %u:%g . tracked; touch new && cat tracked";
  const expected = "uid=4242 gid=99 groups=99\n/workspace/my-repo\n/\n4242:99\n4242:99\none\n";
  const { code, stdout, stderr } = await guest.run(["sh", "-c", script], [], { cwd: repository });
  assert.deepEqual([code, stdout], [0, expected], stderr);
  assert.equal(await guest.ssh("sh", "-c", script), expected);
}

/** A USER that the image lacks, a WORKDIR that it lacks, and an ENTRYPOINT, which is no command's. */
async function ghost(guest: Guest) {
  const { code, stdout, stderr } = await guest.run([
    "sh",
    "-c",
    'id -un; pwd; echo "$0 $#"; exit 9',
  ]);
  assert.deepEqual([code, stdout], [9, "root\n/root\n/bin/sh 0\n"], stderr);
  assert.equal(await guest.ssh("sh", "-c", "id -un; pwd"), "root\n/root\n");
}

type Check = (guest: Guest, banger: Banger, repository: string) => Promise<void>;

/** The images' names, and what is done in a VM of each. */
const guests: Readonly<Record<string, readonly Check[]>> = {
  busybox: [busybox],
  musl: [musl],
  static: [nothingElse],
  numeric: [numeric],
  ghost: [ghost],
  systemd: [systemd],
  plain: [plain],
  user: [user, withoutDefaults],
};

async function imagesOf(directory: string): Promise<Readonly<Record<string, GuestImage>>> {
  const [debian, systemd, git] = await Promise.all([
    debianTar(),
    systemdLayer(directory),
    packageTars(["git"]),
  ]);
  const Env = [`ODD=${oddValue}`];
  const users = await userFiles(debian, directory);
  return {
    busybox: await busyboxImage(),
    musl: await muslImage(directory),
    static: await staticImage(),
    numeric: await busyboxImage({ User: "4242:99", WorkingDir: "/not/there" }),
    ghost: await busyboxImage({
      User: "ghost:ghosts",
      WorkingDir: "/not/there",
      Entrypoint: ["/bin/false"],
    }),
    systemd: {
      layers: [
        debian,
        systemd,
        tarOf([{ name: "etc/.wh.motd", content: "" }, { name: "etc/kept", content: "above\n" }]),
      ],
      config: { Env },
    },
    plain: { layers: [debian], config: { Env, Cmd: ["bash"] } },
    user: { layers: [debian, ...git, users], config: { Env, User: "app" } },
  };
}

/** `etc/passwd` and `etc/group` of a Debian with one more user, who has neither home nor shell. */
async function userFiles(debian: Uint8Array, directory: string): Promise<Uint8Array> {
  const files = await run("tar", ["-xf", "-", "-C", directory, "./etc/passwd", "./etc/group"], {
    stdin: debian,
  });
  assert.equal(files.code, 0);
  const passwd = await Deno.readTextFile(`${directory}/etc/passwd`);
  const group = await Deno.readTextFile(`${directory}/etc/group`);
  return tarOf([
    {
      name: "etc/passwd",
      content: `${passwd}app:x:1000:1000::/home/app:/usr/sbin/nologin\n`,
    },
    {
      name: "etc/group",
      content: `${group.replace(/^(sudo:.*)$/m, "$1app")}app:x:1000:\n`,
    },
  ]);
}

/** A repository with one commit, for the guests to go on with. */
async function makeRepository(directory: string): Promise<string> {
  const dir = `${directory}/my-repo`;
  await Deno.mkdir(dir);
  const script = `git init -q -b main . && echo one >tracked && git add . &&
    git -c user.name=a -c user.email=a@example.test commit -qm first`;
  await run("sh", ["-c", script], { cwd: dir });
  return dir;
}

/** What a guest looks like in which something failed. */
async function look(banger: Banger, vm: string): Promise<string> {
  const script =
    "b=/.banger/bin/busybox; $b ps; $b netstat -tln; $b ip addr; cat /run/banger/agent.log";
  const busybox = ["/.banger/bin/busybox", "sh", "-c", script];
  const facts = await banger.run(["vm", "exec", "--no-image-defaults", vm, "--", ...busybox]);
  const { stdout } = await banger.run(["vm", "logs", vm]);
  return `${facts.stdout}${facts.stderr}${stdout.slice(-2000)}`;
}

/** VMs at once, of one processor each: they sleep long enough that two cores are not too few. */
const atOnce = 3;

const name = "guests of all sorts of images do what their images say";
if (!skipUnless(name, missing.length === 0, `${missing.join(", ")} not installed`)) {
  vmTest(name, async (banger) => {
    const dir = await Deno.makeTempDir({ prefix: "banger-guest-images-" });
    await using registry = await DockerRegistry.start(dir);
    const only = Deno.env.get("BANGER_TEST_GUEST_IMAGES")?.split(",");
    const references = new Map<string, string>();
    try {
      const repository = await makeRepository(dir);
      for (const [name, image] of Object.entries(await imagesOf(dir))) {
        if (only?.includes(name) === false) continue;
        references.set(name, await pushImage(registry.domain, name, image, dir));
      }
      const checks = [...references].flatMap(([image, reference]) =>
        guests[image]!.map((check) => ({ check, reference, name: check.name.toLowerCase() }))
      ).values();
      const failures: unknown[] = [];
      const worker = async () => {
        for (const { check, reference, name } of checks) {
          try {
            await check(new Guest(banger, name, reference), banger, repository);
          } catch (cause) {
            failures.push(new Error(`guest "${name}":\n${await look(banger, name)}`, { cause }));
          }
          await banger.run(["vm", "delete", "--force", name]);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
      if (failures.length > 0) {
        throw new AggregateError(failures, `${failures.length} guests failed`);
      }
    } finally {
      for (const name of references.keys()) await banger.run(["image", "delete", `${name}-1`]);
      await Deno.remove(dir, { recursive: true });
    }
  });
}
