import * as v from "valibot";
import { replaceFile } from "../../files/replace_file.ts";
import type { VmId } from "../../model/ids.ts";
import { isId } from "../../model/ids.ts";
import { type NetworkPolicy, reaches } from "../contract.ts";
import { mostPlaces } from "./settings.ts";

/** A VM and its place. */
export interface Place {
  readonly vm: VmId;
  readonly place: number;
  readonly policy: NetworkPolicy;
}

/** What is remembered between runs. */
export interface NetworkRecord {
  readonly places: readonly Place[];
  /** Whether the host sent packets on before banger made it; `null` until then. */
  readonly forwardedBefore: boolean | null;
}

const emptyRecord: NetworkRecord = { places: [], forwardedBefore: null };

const schema = v.strictObject({
  version: v.literal(1),
  forwardedBefore: v.nullable(v.boolean()),
  places: v.pipe(
    v.array(v.strictObject({
      vm: v.pipe(v.string(), v.check(isId), v.transform((text) => text as VmId)),
      place: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(mostPlaces - 1)),
      policy: v.strictObject({ reach: v.picklist(reaches), peers: v.boolean() }),
    })),
    v.maxLength(mostPlaces),
    v.check((places) =>
      new Set(places.map(({ vm }) => vm)).size === places.length &&
      new Set(places.map(({ place }) => place)).size === places.length
    ),
  ),
});

const maxBytes = 1024 * 1024;

/**
 * Who has which place, in a file in a directory that only its owner can write. A file that is missing or does not hold
 * together counts as empty: what it said is then found on the host, as taps that nobody leases, and goes.
 */
export class NetworkRegistry {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  read(): NetworkRecord {
    try {
      const info = Deno.lstatSync(this.#path);
      if (!info.isFile || info.size > maxBytes) return emptyRecord;
      const { version: _, ...record } = v.parse(
        schema,
        JSON.parse(Deno.readTextFileSync(this.#path)),
      );
      return record;
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) throw error;
      return emptyRecord;
    }
  }

  /** Writes it anew, whatever has the file's name (0600). It is on the disk when this returns. */
  write(record: NetworkRecord): void {
    replaceFile(this.#path, JSON.stringify({ version: 1, ...record }), { isDurable: true });
  }

  remove(): void {
    removeAny(this.#path);
  }
}

function removeAny(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
