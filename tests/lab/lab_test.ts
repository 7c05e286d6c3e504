/** What only a host with working KVM can show, in a lab host. Takes minutes. */
import assert from "node:assert/strict";
import { isBuilt } from "../support/banger.ts";
import { skipUnless } from "../support/require.ts";
import { LabHost } from "./lab_host.ts";
import { labOptions } from "./lab_options.ts";

const vmMs = 5 * 60_000;

const name = "in the lab host, VMs run with KVM, for root and for a user of the group kvm";
const reason = !isBuilt()
  ? "build/bin/banger is not built"
  : Deno.uid() !== 0
  ? "needs root, to make the lab host's disk"
  : "it takes minutes: set BANGER_TEST_LAB=1";
const wanted = isBuilt() && Deno.uid() === 0 && Deno.env.get("BANGER_TEST_LAB") === "1";

Deno.test({
  name,
  ignore: skipUnless(name, wanted, reason),
  async fn(t) {
    const options = await labOptions();
    await using lab = await LabHost.boot(options);
    for (const user of ["root", "with-kvm"]) {
      await t.step(
        `${user}: accel=kvm, and bytes that come back whole`,
        async () => {
          const banger = `cd / && HOME=${options.home} banger`;
          await lab.ok(`chown -R ${user}: ${options.home}`);
          const as = (words: string) =>
            lab.ok(`su ${user} -c "${banger} ${words}"`, { timeoutMs: vmMs });
          // The first start unpacks the program, which takes long on an emulated processor.
          await lab.run(`su ${user} -c "${banger} vm list"`, { timeoutMs: vmMs });
          try {
            await as("vm create --name lab");
            await as("vm start lab");
            const shown = JSON.parse(await as("vm show lab --json"));
            assert.equal(shown.vm.accelerator, "kvm");
            const qemu = await lab.ok("tr '\\\\0' ' ' </proc/$(pgrep -n qemu-system)/cmdline");
            assert.match(qemu, /-accel kvm /);
            assert.doesNotMatch(qemu, /vsock/);
            const bytes = await lab.ok(
              `su ${user} -c "${banger} vm exec lab -- head -c 20000000 /dev/zero" | wc -c`,
              { timeoutMs: vmMs },
            );
            assert.equal(bytes.trim(), "20000000");
          } finally {
            await lab.run(`su ${user} -c "${banger} vm delete --force lab"`, { timeoutMs: vmMs });
            await lab.run(`su ${user} -c "${banger} daemon stop --force"`, { timeoutMs: vmMs });
          }
        },
      );
    }
  },
});
