import { BangerError } from "../model/errors.ts";
import type { StartStep } from "../services/vm/contract.ts";

/** Makes the key files of one VM; idempotent. */
export type MakeHostKey = (
  vmId: string,
  files: { readonly keyPath: string; readonly knownHostsPath: string },
  signal: AbortSignal,
) => Promise<void>;

/**
 * The VM's own ssh host key, made here and pinned in a known_hosts file beside it: there is no
 * trust on first use.
 */
export function hostKeyStep(makeHostKey: MakeHostKey): StartStep {
  return {
    name: "host_key",
    dependsOn: ["places"],
    async prepare({ vm, paths, signal }) {
      await makeHostKey(
        vm.id,
        { keyPath: paths.hostKey, knownHostsPath: paths.knownHosts },
        signal,
      );
      if (!(await Deno.stat(paths.knownHosts)).isFile) {
        throw new BangerError("internal", `Cannot pin the host key of VM "${vm.config.name}"`);
      }
    },
  };
}
