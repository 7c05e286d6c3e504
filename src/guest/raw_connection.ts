import { BangerError } from "../model/errors.ts";
import type { ByteLink } from "../wire/link.ts";
import { rawReady } from "../wire/raw.ts";

/** Opens a new connection to the guest's port of raw connections. @throws when it cannot */
export type OpenRaw = () => Promise<ByteLink>;

/**
 * Connects and presents `ticket`. The guest moves bytes when it gets `rawGo`.
 *
 * @param timeoutMs bound on all of it
 * @throws BangerError `timeout`, `unavailable`; whatever `open` throws
 */
export async function claimRaw(
  open: OpenRaw,
  ticket: string,
  timeoutMs: number,
): Promise<ByteLink> {
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  let link: ByteLink | undefined;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    link?.close();
    late.reject(new BangerError("timeout", "Cannot open a raw connection: no answer in time"));
  }, timeoutMs);
  const claim = async () => {
    link = await open();
    try {
      if (isLate) throw new BangerError("timeout", "Cannot open a raw connection: too late");
      await link.write(new TextEncoder().encode(ticket));
      const first = new Uint8Array(1);
      if (await link.read(first) === 1 && first[0] === rawReady) return link;
      throw new BangerError("unavailable", "Cannot open a raw connection: the guest refused it");
    } catch (error) {
      link.close();
      throw error;
    }
  };
  const claimed = claim();
  claimed.catch(() => {});
  try {
    return await Promise.race([claimed, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
