import { BangerError } from "../../model/errors.ts";
import type { LocalBytes } from "../../oci/local_bytes.ts";
import { RemoteBytes } from "../../oci/remote_bytes.ts";
import type { ByteLink } from "../../wire/link.ts";

/** Most connections that offer bytes at once. */
const maxOffers = 64;

/** What a connection's bytes are waited for, once its offer was answered. */
type Upgraded = PromiseWithResolvers<RemoteBytes>;

/** An offer that was just made. */
export interface Offer {
  /** 32 hexadecimal digits that only its client learns. */
  readonly id: string;
  /** Serves its connection once that was upgraded; settles when the connection is over. */
  serve(link: ByteLink): Promise<void>;
  /** Its connection is over, upgraded or not. */
  drop(): void;
}

/** The connections over which clients serve the bytes of their files. Each is good for one pull. */
export class Offers {
  readonly #open = new Map<string, Upgraded>();
  readonly #randomHex: (bytes: number) => string;

  constructor(randomHex: (bytes: number) => string) {
    this.#randomHex = randomHex;
  }

  /** @throws BangerError `exhausted` */
  make(): Offer {
    if (this.#open.size >= maxOffers) {
      throw new BangerError("exhausted", `Cannot offer an image: ${maxOffers} are offered already`);
    }
    const id = this.#randomHex(16);
    const upgraded = Promise.withResolvers<RemoteBytes>();
    upgraded.promise.catch(() => {});
    this.#open.set(id, upgraded);
    const drop = () => {
      upgraded.reject(nobody());
      this.#open.delete(id);
    };
    const serve = async (link: ByteLink) => {
      const bytes = new RemoteBytes(link);
      upgraded.resolve(bytes);
      await bytes.closed;
      drop();
    };
    return { id, serve, drop };
  }

  /**
   * The bytes of an offer, which nobody else gets afterwards. The client may ask on another
   * connection before this one's upgrade has gone through.
   *
   * @throws BangerError `not_found`
   */
  async take(id: string): Promise<LocalBytes> {
    const upgraded = this.#open.get(id);
    if (upgraded === undefined) throw nobody();
    this.#open.delete(id);
    return await upgraded.promise;
  }
}

function nobody(): BangerError {
  return new BangerError("not_found", "Cannot read the image: nobody offers its bytes", {
    hint: "Run the same command again, and let it end by itself",
  });
}
