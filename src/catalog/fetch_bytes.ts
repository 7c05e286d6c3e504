import { transfer, type TransferOptions } from "./transfer.ts";

/**
 * Downloads into memory.
 *
 * @throws BangerError as {@linkcode transfer}
 */
export async function fetchBytes(options: TransferOptions): Promise<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  await transfer(options, {
    get bytes() {
      return bytes;
    },
    restart: () => {
      chunks = [];
      bytes = 0;
      return Promise.resolve();
    },
    write: (chunk) => {
      chunks.push(chunk);
      bytes += chunk.length;
      return Promise.resolve();
    },
  });
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
