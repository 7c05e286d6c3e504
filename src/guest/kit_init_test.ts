import assert from "node:assert/strict";
import fc from "fast-check";
import { checkTimerFunction, timerComplaint } from "./kit_init.ts";

/** What Linux 6.1 prints of one processor's timer. */
function timerList(device: string, mult: number): string {
  return `Timer List Version: v0.9
now at 5000000 nsecs

cpu: 0
 clock 0:
  .base:       00000000b1c5a2d3
Tick Device: mode:     1
Per CPU device: 0
Clock Event Device: ${device}
 max_delta_ns:   34359738337
 min_delta_ns:   1000
 mult:           ${mult}
 shift:          32
 mode:           3
`;
}

/** Runs the kit's function with this host's busybox; what it put on the console, and whether it ended the guest. */
async function check(list: string): Promise<{ console: string; ended: boolean }> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/list`, list);
    const script = `b=busybox_stand_in
busybox_stand_in() { if [ "$1" = reboot ]; then echo ended >"${dir}/ended"; else /bin/busybox "$@"; fi; }
${checkTimerFunction}check_timer
`.replaceAll("/proc/timer_list", `${dir}/list`).replaceAll("/dev/console", `${dir}/console`);
    const { success, stderr } = await new Deno.Command("/bin/busybox", {
      args: ["sh", "-c", script],
      clearEnv: true,
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const read = (name: string) => Deno.readTextFile(`${dir}/${name}`).catch(() => "");
    return { console: await read("console"), ended: (await read("ended")) !== "" };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a guest ends itself when its timer is off by half", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 32 - 1 }), async (mult) => {
      const { console, ended } = await check(timerList("lapic", mult));
      const off = mult < 134_217_728 || mult > 402_653_184;
      assert.equal(ended, off);
      assert.equal(console.includes(`${timerComplaint}: ${mult} `), off);
    }),
    { numRuns: 20, examples: [[268_435_456], [37_874_095], [2_384_957_758]] },
  );
});

Deno.test("a timer of another sort, or none, is not judged", async () => {
  for (
    const list of [timerList("lapic-deadline", 1), timerList("arch_sys_timer", 1), "", "mult: 1"]
  ) {
    assert.deepEqual(await check(list), { console: "", ended: false });
  }
});
