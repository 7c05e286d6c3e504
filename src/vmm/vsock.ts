import { BangerError } from "../model/errors.ts";

/**
 * Connects to `port` of the guest with context id `cid` (vsock(7)). Any process of the host can: what
 * listens there must not trust a connection by itself.
 *
 * @throws BangerError `timeout`; Deno's errors when the guest refuses or has no vsock
 */
export async function connectVsock(
  cid: number,
  port: number,
  timeoutMs: number,
): Promise<Deno.VsockConn> {
  const connecting = Deno.connect({ transport: "vsock", cid, port });
  const late = Promise.withResolvers<never>();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    late.reject(new BangerError("timeout", `Cannot reach vsock port ${port}: no answer in time`));
  }, timeoutMs);
  // Deno.connect cannot be cancelled: a connection that comes too late is closed.
  connecting.then((connection) => isLate && connection.close(), () => {});
  try {
    return await Promise.race([connecting, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
