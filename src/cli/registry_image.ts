import { BangerError } from "../model/errors.ts";
import { parseImageWord } from "../model/image_name.ts";
import { type ImageReference, imageReferenceText } from "../model/image_reference.ts";
import type { StageEvent } from "../model/stages.ts";
import type { CliContext, DaemonPort } from "./context.ts";
import { followOperation } from "./follow_operation.ts";
import { interruptible } from "./interruptible.ts";
import { StageView } from "./render/stage_view.ts";

/** How an image of a registry is pulled. */
export interface RegistryPullOptions {
  /** Its name here; `null` takes the one that follows from the reference. */
  readonly name: string | null;
  readonly refresh: boolean;
}

/**
 * Begins the pull of an image of a registry. The user's Docker configuration is read here, with the user's
 * rights: the daemon gets what opens this one registry, and nothing else of it.
 */
export async function beginRegistryPull(
  context: CliContext,
  client: DaemonPort,
  reference: ImageReference,
  options: RegistryPullOptions,
  signal: AbortSignal,
): Promise<{ readonly operationId: string }> {
  const { lookUpCredentials } = await import("../oci/host/look_up_credentials.ts");
  const { env } = context;
  const { credentials, problem } = await lookUpCredentials(reference.domain, { env, signal });
  if (problem !== null && !context.quiet) context.err.write(`note: ${problem.message}\n`);
  const text = imageReferenceText(reference);
  return await client.call(
    "image.pull_registry",
    { reference: text, ...options, credentials },
    signal,
  );
}

/**
 * The name here of the image that a new VM was asked to boot: an image of a registry or of the user's files
 * is pulled when it is not here.
 *
 * @param word what the user gave; `null` is the default image
 */
export async function imageHere(
  context: CliContext,
  client: DaemonPort,
  word: string | null,
  onEvent: (event: StageEvent) => void,
  signal: AbortSignal,
): Promise<string | null> {
  if (word === null) return null;
  const meant = parseImageWord(word);
  if ("name" in meant) return meant.name;
  const options = { name: null, refresh: false };
  if ("local" in meant) {
    const { withLocalPull } = await import("./local_image.ts");
    return await withLocalPull(context, client, meant.local, options, async (begin) => {
      const { operationId } = await begin(signal);
      return imageOf((await followOperation(client, operationId, onEvent, signal)).result);
    });
  }
  const { operationId } = await beginRegistryPull(
    context,
    client,
    meant.reference,
    options,
    signal,
  );
  return imageOf((await followOperation(client, operationId, onEvent, signal)).result);
}

/** @throws BangerError `internal` when the daemon answered something else */
export function imageOf(result: unknown): string {
  const { image } = (result ?? {}) as { readonly image?: { readonly name?: unknown } };
  if (typeof image?.name === "string") return image.name;
  throw new BangerError("internal", "Cannot use the result of image.pull: it has no image");
}

/** {@linkcode imageHere} with its stages on the terminal and Ctrl-C taken over. */
export async function pulledImage(
  context: CliContext,
  client: DaemonPort,
  word: string | null,
): Promise<string | null> {
  if (word === null || "name" in parseImageWord(word)) return word;
  const { err, nowMs, quiet } = context;
  const view = new StageView({ err, nowMs, silent: quiet });
  try {
    return await interruptible(
      context,
      (signal) => imageHere(context, client, word, (event) => view.event(event), signal),
    );
  } finally {
    view.close();
  }
}
