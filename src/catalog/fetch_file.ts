import { createHash } from "node:crypto";
import { BangerError } from "../model/errors.ts";
import { fileNameOf } from "./fetch_within.ts";
import { transfer, type TransferOptions } from "./transfer.ts";

/** What the file must turn out to be, besides how it is fetched. */
export interface FetchFileOptions extends Omit<TransferOptions, "maxBytes" | "expectedBytes"> {
  readonly expected: { readonly size: number; readonly sha256: string };
}

/**
 * Downloads to the new file `path` (0600), hashing on the way. On failure it is removed.
 *
 * @throws BangerError as {@linkcode transfer}; `untrusted` when size or hash are others; what
 * writing throws
 */
export async function fetchFile(path: string, options: FetchFileOptions): Promise<void> {
  const { expected, ...rest } = options;
  await using undo = new AsyncDisposableStack();
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  undo.defer(() => Deno.remove(path));
  let hash = createHash("sha256");
  let bytes = 0;
  await transfer({ ...rest, maxBytes: expected.size, expectedBytes: expected.size }, {
    get bytes() {
      return bytes;
    },
    restart: async () => {
      await file.truncate(0);
      await file.seek(0, Deno.SeekMode.Start);
      hash = createHash("sha256");
      bytes = 0;
    },
    write: async (chunk) => {
      for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
      hash.update(chunk);
      bytes += chunk.length;
    },
  });
  const got = hash.digest("hex");
  if (got !== expected.sha256) {
    throw new BangerError(
      "untrusted",
      `Cannot use "${fileNameOf(options.url)}": its SHA-256 is not the one in the catalog`,
      {
        code: "HASH_MISMATCH",
        detail: `${options.url}\nexpected ${expected.sha256}\ngot      ${got}`,
        hint: "The server may be half-updated or damaged: try again later",
      },
    );
  }
  undo.move();
}
