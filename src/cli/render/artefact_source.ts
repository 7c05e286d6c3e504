import type { ImageView } from "../../api/artefacts.ts";
import { momentText } from "./amounts.ts";

type Origin = Pick<ImageView, "source" | "sourceReason" | "publication">;

/** Where an image or a kernel came from, with the reason where there was a choice. */
export function sourceText({ source, sourceReason }: Origin): string {
  return sourceReason === null ? source : `${source} (${sourceReason})`;
}

/** Who published it and when; nothing for what did not come from a catalog. */
export function publicationFields({ publication }: Origin): (readonly [string, string])[] {
  if (publication === null) return [];
  return [
    ["Published", momentText(publication.madeAtMs)],
    ["Signed by", publication.signer],
  ];
}
