import type { RootfsFile } from "../../images/examine_rootfs.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import { BangerError, isBangerError, reasonOf } from "../../model/errors.ts";
import type { ImageServiceDeps } from "./contract.ts";

/**
 * What stands for an unmanaged image: not its content, which may be hours of reading, but which file
 * it is and when it was last written.
 */
export async function registeredDigest(file: RootfsFile): Promise<string> {
  const { path, inode, bytes, modifiedMs } = file;
  const text = `registered rootfs\n${path}\n${inode}\n${bytes}\n${modifiedMs}\n`;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256:${new Uint8Array(hash).toHex()}`;
}

/**
 * Checks that the file of an unmanaged image is the one that was registered: VMs have overlays over
 * it, which mean nothing over another content.
 *
 * @throws BangerError `precondition` (IMAGE_FILE_MISSING, IMAGE_FILE_CHANGED)
 */
export async function checkRegistered(
  deps: Pick<ImageServiceDeps, "rootfsFile">,
  image: ImageRecord,
): Promise<RootfsFile> {
  const { name, rootfsPath } = image;
  let file: RootfsFile;
  try {
    file = await deps.rootfsFile(rootfsPath);
  } catch (error) {
    if (!isBangerError(error)) throw error;
    if (isBangerError(error, "invalid")) throw changed(image, error);
    const state = isBangerError(error, "not_found")
      ? "is gone"
      : `cannot be used: ${reasonOf(error)}`;
    throw new BangerError("precondition", `Cannot use image "${name}": "${rootfsPath}" ${state}`, {
      hint: `Put the file back as it was, or: banger image delete ${name}`,
      code: "IMAGE_FILE_MISSING",
      cause: error,
    });
  }
  if (await registeredDigest(file) !== image.digest) throw changed(image);
  return file;
}

function changed({ name, rootfsPath }: ImageRecord, cause?: unknown): BangerError {
  return new BangerError(
    "precondition",
    `Cannot use image "${name}": "${rootfsPath}" has changed since it was registered`,
    {
      hint: "VMs that were made of it need it as it was; for new ones: " +
        `banger image register ${name} --rootfs ${rootfsPath}`,
      code: "IMAGE_FILE_CHANGED",
      cause,
    },
  );
}
