import type { SshTarget } from "../../api/vm.ts";
import { BangerError } from "../../model/errors.ts";
import { pause } from "../../sync/pause.ts";

const retryMs = 100;
const limitMs = 30_000;
const bannerMs = 5_000;

/**
 * Waits until the guest's ssh server sends its banner (RFC 4253, 4.2): it starts a moment after the
 * agent, and the port on the host accepts before it is there.
 *
 * @throws BangerError `timeout`; the reason of `signal`
 */
export async function waitForSsh(target: SshTarget, signal: AbortSignal): Promise<void> {
  const startMs = performance.now();
  while (performance.now() - startMs < limitMs) {
    if (await sshAnswers(target, signal)) return;
    await pause(retryMs, signal);
    signal.throwIfAborted();
  }
  throw new BangerError("timeout", `Cannot reach the VM by ssh: no answer in ${limitMs / 1000} s`, {
    hint: "banger vm logs NAME shows its console; banger vm exec NAME -- CMD needs no ssh",
  });
}

/** Whether the guest's ssh server sends its banner within 5 s, and before `signal` aborts. */
export async function sshAnswers(target: SshTarget, signal?: AbortSignal): Promise<boolean> {
  let connection: Deno.TcpConn;
  try {
    connection = await Deno.connect({ hostname: target.host, port: target.port });
  } catch {
    return false;
  }
  const stop = () => close(connection);
  const timer = setTimeout(stop, bannerMs);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    // passt finishes the guest's handshake only with the first bytes from the host, so wait for none.
    await connection.write(new TextEncoder().encode("SSH-2.0-banger\r\n"));
    const buffer = new Uint8Array(256);
    const count = await connection.read(buffer);
    return count !== null && new TextDecoder().decode(buffer.subarray(0, count)).startsWith("SSH-");
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
