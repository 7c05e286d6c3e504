import type { BundleMetadata, MemberName } from "./bundle.ts";

const kernelFiles: readonly MemberName[] = ["vmlinux", "bzImage", "initrd.img", "modules.ext4"];

/**
 * `sha256:…` over all that a bundle's kernel is: equal kernels are one, also when they come with several
 * images.
 *
 * @param revision of what banger adds to it; `null` when it adds nothing
 */
export async function bundleKernelDigest(
  { arch, kernel, members }: Pick<BundleMetadata, "arch" | "kernel" | "members">,
  revision: string | null,
): Promise<string> {
  const { version, commandLine } = kernel;
  const files = members.filter(({ name }) => kernelFiles.includes(name))
    .map(({ name, size, sha256 }) => ({ name, size, sha256 }));
  const text = JSON.stringify({ revision, arch, version, commandLine, files });
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256:${new Uint8Array(hash).toHex()}`;
}
