import { absoluteSource, imageSourceText, type LocalImageSource } from "../model/image_source.ts";
import type { CliContext, DaemonPort } from "./context.ts";
import { interruptible } from "./interruptible.ts";
import { StageView } from "./render/stage_view.ts";

/** How an image of the user's files is pulled. */
export interface LocalPullOptions {
  /** Its name here; `null` takes the one that follows from the source. */
  readonly name: string | null;
  readonly refresh: boolean;
}

/** Begins the pull; the operation ends before what {@linkcode withLocalPull} calls does. */
export type BeginLocalPull = (signal: AbortSignal) => Promise<{ readonly operationId: string }>;

/**
 * Calls `body` with what begins the pull of an image of the user's files, which this process reads
 * with the user's rights: the daemon gets their bytes over a connection of its own, and opens no path.
 */
export async function withLocalPull<T>(
  context: CliContext,
  client: DaemonPort,
  given: LocalImageSource,
  options: LocalPullOptions,
  body: (begin: BeginLocalPull) => Promise<T>,
): Promise<T> {
  const { archiveFile, layoutDirectory } = await import("../oci/host/host_files.ts");
  const { serveBytes } = await import("../oci/host/serve_bytes.ts");
  const source = absoluteSource(given, context.cwd);
  using unpacked = await unpackedArchive(context, client, source, options);
  const files = unpacked ??
    (source.kind === "oci-layout" ? layoutDirectory(source.path) : archiveFile(source.path));
  const connection = await context.connect({ start: "never" });
  try {
    const { result, link } = await connection.upgrade("image.offer", {});
    const served = serveBytes(link, files);
    try {
      const { offer } = result;
      return await body((signal) =>
        client.call(
          "image.pull_local",
          { source: imageSourceText(source), offer, ...options },
          signal,
        )
      );
    } finally {
      link.close();
      await served;
    }
  } finally {
    connection.close();
  }
}

/**
 * The uncompressed form of an archive that gzip has compressed; `null` for every other source, and when
 * the image is here already and will not be read.
 */
async function unpackedArchive(
  context: CliContext,
  client: DaemonPort,
  source: LocalImageSource,
  { refresh }: LocalPullOptions,
) {
  if (source.kind !== "docker-archive") return null;
  const { isGzipFile, unpackArchive } = await import("../oci/host/unpacked_archive.ts");
  if (!await isGzipFile(source.path)) return null;
  const text = imageSourceText(source);
  const { images } = refresh ? { images: [] } : await client.call("image.list", {});
  if (images.some((image) => image.source === text)) return null;
  const { err, nowMs, quiet, env } = context;
  const { size } = await Deno.stat(source.path);
  const view = new StageView({ err, nowMs, silent: quiet });
  try {
    return await interruptible(
      context,
      (signal) =>
        view.stage(`Uncompressing ${source.path}`, async (progress) => {
          const onProgress = (bytes: number) => progress(bytes, size, "bytes");
          const tempDir = env["TMPDIR"] ?? "/var/tmp";
          return await unpackArchive(source.path, { tempDir, signal, onProgress });
        }),
    );
  } finally {
    view.close();
  }
}
