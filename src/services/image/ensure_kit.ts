import { dropStaging, makeStaging } from "../../images/staging.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { downloadsLimitBytes, pruneDownloads } from "./prune_downloads.ts";

/** File in the kits' directory that says which kit is current, and for which inputs. */
export const currentKitFile = "current.json";

/**
 * Path of the guest kit that belongs to this installation, built when it is not here yet or the
 * inputs have changed. Several at once share one build; cancelled or failed, nothing is left.
 *
 * @throws BangerError what the kit's source throws
 */
export async function ensureKit(
  parts: ImageServiceParts,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<string> {
  const { kitSource, paths } = parts;
  const key = await kitSource.key();
  const present = await currentKit(paths.kitsDir);
  if (present?.key === key) return `${paths.kitsDir}/${present.file}`;
  return await parts.kitPulls.share(key, reporter, signal, async (shared, stop) => {
    const stagingDir = await makeStaging(paths.stagingDir, "kit");
    try {
      const mirror = await parts.mirror(kitSource.suite);
      const context = { mirror, stagingDir, reporter: shared, signal: stop };
      const { file } = await kitSource.build(context);
      const published = `${paths.kitsDir}/${file}`;
      await syncFile(`${stagingDir}/${file}`);
      await Deno.chmod(`${stagingDir}/${file}`, 0o444);
      await parts.locks.hold("image_ops", "all", stop, async () => {
        await Deno.rename(`${stagingDir}/${file}`, published);
        await pointTo(parts, stagingDir, { key, file });
      });
      await pruneDownloads(paths.downloadsDir, downloadsLimitBytes, parts.now());
      return published;
    } finally {
      await dropStaging(stagingDir, parts.uid);
    }
  });
}

/**
 * Makes the kit of a bundle, `kit.file` in `stagingDir`, this installation's, when it is made of the same as its own
 * would be and none is here; it is then not built. Another is left where it is. The caller holds imageOpsLock.
 */
export async function adoptKit(
  parts: ImageServiceParts,
  stagingDir: string,
  kit: { readonly file: string; readonly key: string },
): Promise<void> {
  const { kitsDir } = parts.paths;
  if (kit.key !== await parts.kitSource.key()) return;
  if ((await currentKit(kitsDir))?.key === kit.key) return;
  const file = `kit-${kit.key.slice(0, 12)}.ext4`;
  await syncFile(`${stagingDir}/${kit.file}`);
  await Deno.chmod(`${stagingDir}/${kit.file}`, 0o444);
  await Deno.rename(`${stagingDir}/${kit.file}`, `${kitsDir}/${file}`);
  await pointTo(parts, stagingDir, { key: kit.key, file });
}

async function pointTo(
  { paths }: ImageServiceParts,
  stagingDir: string,
  current: { readonly key: string; readonly file: string },
): Promise<void> {
  const pointer = `${stagingDir}/${currentKitFile}`;
  await Deno.writeTextFile(pointer, `${JSON.stringify(current)}\n`);
  await syncFile(pointer);
  await Deno.rename(pointer, `${paths.kitsDir}/${currentKitFile}`);
}

/** What {@linkcode currentKitFile} says, when the kit it names is there. */
export async function currentKit(
  kitsDir: string,
): Promise<{ readonly key: string; readonly file: string } | undefined> {
  try {
    const said: unknown = JSON.parse(await Deno.readTextFile(`${kitsDir}/${currentKitFile}`));
    if (typeof said !== "object" || said === null) return undefined;
    const { key, file } = said as Record<string, unknown>;
    if (typeof key !== "string" || typeof file !== "string") return undefined;
    if (!/^kit-[0-9a-z-]+\.ext4$/.test(file)) return undefined;
    return (await Deno.stat(`${kitsDir}/${file}`)).isFile ? { key, file } : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await Deno.open(path, { read: true });
  try {
    await file.sync();
  } finally {
    file.close();
  }
}
