import type { ByteString } from "../ext4/byte_string.ts";

/** What an entry whose name starts with `.wh.` says about the layers below. */
export type Whiteout =
  /** Everything below is gone from its directory. */
  | { readonly type: "opaque" }
  /** `name` of the layers below is gone. */
  | { readonly type: "removed"; readonly name: ByteString }
  /** Bookkeeping of aufs, which says nothing. */
  | { readonly type: "ignored" }
  /** It names no entry of its directory. */
  | { readonly type: "unsafe" };

const prefix = ".wh.";

/** The whiteout that `name` is, if any (OCI image specification, "Whiteouts"). */
export function whiteoutOf(name: ByteString): Whiteout | undefined {
  if (!name.startsWith(prefix)) return undefined;
  if (name === ".wh..wh..opq") return { type: "opaque" };
  const removed = name.slice(prefix.length);
  if (removed.startsWith(prefix)) return { type: "ignored" };
  if (removed === "" || removed === "." || removed === "..") return { type: "unsafe" };
  return { type: "removed", name: removed };
}
