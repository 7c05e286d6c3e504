/**
 * VMMs and guests that die, hang, lie and answer late: every one ends in a clear error, within bounds, with
 * nothing left of it, whatever moment it chooses.
 */
import assert from "node:assert/strict";
import type { Banger } from "../support/banger.ts";
import { refused, until, vmsOf } from "../support/end_to_end.ts";
import type { FakeHome } from "../support/fake_vmm/fake_home.ts";
import { fakeVmTest, nothingRuns, onlyVm, withFakeVms } from "../support/fake_vmm/fake_test.ts";

/** What the VMM does wrong, and what is to be seen of that. */
interface Misbehaviour {
  readonly does: readonly string[];
  readonly says: RegExp;
  /** Bound on the command, in seconds. */
  readonly withinS: number;
}

/** 64 MiB, which nobody keeps. */
const flood = 64 * 1024 ** 2;
const bootTimeout = 'boot_timeout = "2s"';

/** At the start of a VM, before it is ready. */
const badStarts: readonly Misbehaviour[] = [
  { does: ["start die 3"], says: /it ended with exit code 3/, withinS: 3 },
  {
    does: ["start say qemu: no such thing", "start die 1"],
    says: /exit code 1[^]*qemu: no such thing/,
    withinS: 3,
  },
  { does: ["start kill"], says: /it ended with SIGKILL/, withinS: 3 },
  { does: ["sockets die 4"], says: /it ended with exit code 4/, withinS: 3 },
  { does: ["qmp.greeting garbage"], says: /Cannot start QEMU: .*QEMU sent/, withinS: 6 },
  { does: ["qmp.greeting wrong"], says: /Cannot start QEMU: .*QEMU sent "\{\\"HELO/, withinS: 6 },
  { does: [`qmp.greeting long ${flood}`], says: /Cannot start QEMU: .*QEMU sent/, withinS: 8 },
  { does: ["qmp.greeting close"], says: /Cannot start QEMU: .*hung up/, withinS: 6 },
  { does: ["qmp.greeting kill"], says: /it ended with SIGKILL/, withinS: 4 },
  { does: ["qmp.qmp_capabilities error not today"], says: /not today/, withinS: 6 },
  { does: ["qmp.qmp_capabilities die 5"], says: /it ended with exit code 5/, withinS: 4 },
  { does: ["agent.hello hang"], says: /the guest was not ready within 2 s/, withinS: 6 },
  { does: ["agent.hello half"], says: /the guest was not ready within 2 s/, withinS: 6 },
  { does: ["agent.hello garbage"], says: /the guest was not ready within 2 s/, withinS: 6 },
  { does: ["agent.hello wrong"], says: /the guest was not ready within 2 s/, withinS: 6 },
  { does: [`agent.hello long ${flood}`], says: /the guest was not ready within 2 s/, withinS: 10 },
  { does: ["agent.hello close"], says: /the link ended/, withinS: 6 },
  { does: ["agent.hello die 6"], says: /its VMM ended/, withinS: 5 },
  {
    does: ["agent.hello say qemu: fire", "agent.hello kill"],
    says: /ended: qemu: fire/,
    withinS: 5,
  },
  { does: ["agent.identity error no disk"], says: /Cannot set up the guest: no disk/, withinS: 4 },
  { does: ["agent.identity wrong"], says: /Cannot use the guest's answer/, withinS: 4 },
  { does: ["agent.identity garbage"], says: /identity in the guest/, withinS: 4 },
  { does: [`agent.identity long ${flood}`], says: /identity in the guest/, withinS: 8 },
  { does: ["agent.identity close"], says: /identity in the guest/, withinS: 4 },
  { does: ["agent.identity kill"], says: /identity in the guest/, withinS: 5 },
];

/** The same where the bound is ten seconds: each in a home of its own, all at once. */
const slowStarts: readonly Misbehaviour[] = [
  { does: ["start freeze"], says: /Cannot start QEMU: .*nobody listens/, withinS: 20 },
  { does: ["sockets freeze"], says: /Cannot start QEMU: .*no answer in time/, withinS: 20 },
  { does: ["qmp.greeting hang"], says: /Cannot start QEMU: .*no answer in time/, withinS: 20 },
  { does: ["qmp.greeting half"], says: /Cannot start QEMU: .*no answer in time/, withinS: 20 },
  { does: ["qmp.qmp_capabilities hang"], says: /no answer in time/, withinS: 20 },
  {
    does: ["qmp.qmp_capabilities wrong", "sigterm ignore"],
    says: /no answer in time/,
    withinS: 25,
  },
];

async function refusesToStart(
  banger: Banger,
  fake: FakeHome,
  { does, says, withinS }: Misbehaviour,
): Promise<void> {
  await fake.vmm.behave(...does);
  const before = (await onlyVm(banger)).state;
  const begunMs = performance.now();
  const { code, stderr } = await banger.run(["vm", "start", "web"]);
  const tookS = (performance.now() - begunMs) / 1000;
  const told = `${does.join("; ")} took ${tookS.toFixed(1)} s:\n${stderr}`;
  assert.match(stderr, says, told);
  assert.match(stderr, /^Error: Cannot /m, told);
  assert.equal(code, 1, told);
  assert.ok(tookS < withinS, told);
  const { state, failure } = await onlyVm(banger);
  // Before there is a guest, nothing of the VM can have broken.
  assert.equal(state, does.some((line) => line.startsWith("agent.")) ? "failed" : before, told);
  assert.notEqual(failure, null, told);
  await nothingRuns(banger, fake);
}

async function startsAgain(banger: Banger, fake: FakeHome): Promise<void> {
  await fake.vmm.behave();
  await banger.ok(["vm", "start", "web"]);
  // What the guest left half sent may cost one more session.
  const answers = async () => (await banger.run(["vm", "exec", "web", "--", "true"])).code === 0;
  await until("it answers again", answers, 3_000);
  await banger.ok(["vm", "delete", "--force", "web"]);
  await nothingRuns(banger, fake);
}

fakeVmTest(
  "a VMM that does not start as it should is ended, and the reason told",
  async (banger, fake) => {
    await banger.ok(["vm", "create", "--name", "web"]);
    for (const misbehaviour of badStarts) await refusesToStart(banger, fake, misbehaviour);
    await startsAgain(banger, fake);
  },
  bootTimeout,
);

fakeVmTest("a VMM that hangs at its start is ended in time", async () => {
  await Promise.all(slowStarts.map((misbehaviour) =>
    withFakeVms(async (banger, fake) => {
      await banger.ok(["vm", "create", "--name", "web"]);
      await refusesToStart(banger, fake, misbehaviour);
      await startsAgain(banger, fake);
    }, bootTimeout)
  ));
}, bootTimeout);

fakeVmTest("a VMM that is only slow starts all the same", async (banger, fake) => {
  await fake.vmm.behave(
    "qmp.greeting late 400",
    "qmp.qmp_capabilities late 400",
    "agent.hello late 700",
    "agent.identity late 400",
  );
  await banger.ok(["vm", "create", "--name", "web"]);
  await banger.ok(["vm", "start", "web"]);
  await startsAgain(banger, fake);
}, bootTimeout);

/** While it runs: what the command says; afterwards the VM runs on, or has ended by itself. */
const badAnswers: readonly (Misbehaviour & {
  readonly args: readonly string[];
  readonly then: "running" | "stopped";
})[] = [
  ...["hang", "error busy", "wrong", "garbage", "half", "close", `long ${flood}`].map((action) => ({
    ...{ does: [`agent.stats ${action}`], args: ["stats", "web"] },
    ...{ says: /Cannot .*\n/, withinS: 8, then: "running" as const },
  })),
  {
    ...{ does: ["agent.stats die 7"], args: ["stats", "web"], then: "stopped" },
    ...{ says: /Cannot .*stats|Cannot measure/, withinS: 5 },
  },
  ...["error no such program", "wrong", "garbage", "close"].map((action) => ({
    ...{ does: [`agent.exec ${action}`], args: ["exec", "web", "--", "true"] },
    ...{
      says: /^Error: (Cannot|Lost the command in the guest)/m,
      withinS: 8,
      then: "running" as const,
    },
  })),
  {
    ...{ does: ["agent.exec kill"], args: ["exec", "web", "--", "true"], then: "stopped" },
    ...{ says: /^Error: Lost the command in the guest/m, withinS: 5 },
  },
];

for (const { does, args, says, withinS, then } of badAnswers) {
  fakeVmTest(`a guest that does "${does}" when it is asked to ${args[0]}`, async (banger, fake) => {
    await banger.ok(["vm", "create", "--name", "web"]);
    await banger.ok(["vm", "start", "web"]);
    await fake.vmm.behave(...does);
    const begunMs = performance.now();
    const { code, stdout, stderr } = await banger.run(["vm", ...args]);
    const tookS = (performance.now() - begunMs) / 1000;
    const told = `${does} took ${tookS.toFixed(1)} s, code ${code}:\n${stdout}${stderr}`;
    assert.match(stderr, says, told);
    assert.notEqual(code, 0, told);
    assert.ok(tookS < withinS, told);
    await until(`it is ${then}`, async () => (await onlyVm(banger)).state === then, 3_000);
    await fake.vmm.behave();
    if (then === "stopped") await nothingRuns(banger, fake);
    // What comes next is taken for the other half: such a guest loses its own commands until it is started anew.
    if (does.some((line) => line.endsWith(" half"))) await banger.ok(["vm", "kill", "web"]);
    await startsAgain(banger, fake);
  });
}

/** When it is told to end: it is ended, whatever it says, and that is no failure. */
const badEnds: readonly (readonly string[])[] = [
  ["agent.shutdown hang"],
  ["agent.shutdown error never"],
  ["agent.shutdown wrong"],
  ["agent.shutdown garbage"],
  ["agent.shutdown close"],
  ["agent.shutdown kill"],
  ["agent.shutdown hang", "qmp.quit hang"],
  ["agent.shutdown hang", "qmp.quit error I stay"],
  ["agent.shutdown hang", "qmp.quit close"],
  ["agent.shutdown hang", "qmp.quit garbage"],
  ["agent.shutdown freeze"],
  ["agent.shutdown hang", "qmp.quit hang", "sigterm ignore"],
  ["agent.shutdown freeze", "sigterm ignore"],
];

fakeVmTest("a guest and a VMM that do not want to end are ended", async (banger, fake) => {
  await banger.ok(["vm", "create", "--name", "web"]);
  for (const does of badEnds) {
    await fake.vmm.behave();
    await banger.ok(["vm", "start", "web"]);
    await fake.vmm.behave(...does);
    const begunMs = performance.now();
    await banger.ok(["vm", "stop", "--timeout", "1", "web"]);
    const tookS = (performance.now() - begunMs) / 1000;
    assert.ok(tookS < 8, `${does} took ${tookS.toFixed(1)} s`);
    assert.deepEqual(
      [(await onlyVm(banger)).state, (await onlyVm(banger)).failure],
      ["stopped", null],
      does.join("; "),
    );
    await nothingRuns(banger, fake);
  }
  await startsAgain(banger, fake);
});

fakeVmTest("all that a start lacks is told at once, taken ports as well", async (banger, fake) => {
  using first = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using second = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [one, two] = [first.addr.port, second.addr.port];
  const publish = ["--publish", `${one}:80`, "--publish", `${two}:81`];
  const taken = (port: number) =>
    `port ${port}: another program listens on port ${port} of 127\\.0\\.0\\.1`;
  const both = `(?:${taken(one)}; ${taken(two)}|${taken(two)}; ${taken(one)})`;
  const create = await refused(
    banger,
    ["vm", "create", "--name", "web", ...publish],
    4,
    new RegExp(`^Error: Cannot start a VM here: ${both}\n`, "m"),
  );
  assert.match(create.stderr, /ss -ltnp/);
  assert.deepEqual(await vmsOf(banger), []);

  first.close();
  second.close();
  await banger.ok(["vm", "create", "--name", "web", ...publish]);
  using _first = Deno.listen({ hostname: "127.0.0.1", port: one });
  using _second = Deno.listen({ hostname: "127.0.0.1", port: two });
  const kernel = `${fake.paths.artefactDir("kernel", `sha256:${"2".repeat(64)}`)}/vmlinux`;
  await Deno.rename(kernel, `${kernel}.kept`);
  const lost = 'kernel "fake-kernel" has lost its file "[^"]+/vmlinux"';
  const all = new RegExp(`^Error: Cannot start VM "web": ${both}; ${lost}\n`, "m");
  await refused(banger, ["vm", "start", "web"], 5, all);
  await Deno.rename(`${kernel}.kept`, kernel);
  await refused(banger, ["vm", "start", "web"], 4, new RegExp(`: ${both}\n`));
  assert.equal((await onlyVm(banger)).state, "created");
});

fakeVmTest("a store that can be opened again is, by the next command", async (banger, fake) => {
  const { storeFile } = fake.paths;
  await Deno.rename(storeFile, `${storeFile}.kept`);
  await Deno.mkdir(storeFile);
  for (const _ of [1, 2]) await refused(banger, ["vm", "list"], 5, /Cannot open the store/);
  await Deno.remove(storeFile);
  await Deno.rename(`${storeFile}.kept`, storeFile);
  await banger.ok(["vm", "create", "--name", "web"]);
});
