import type { ImageView, KernelView } from "../../api/artefacts.ts";
import type { ImageRecord, KernelRecord } from "../../model/artefacts.ts";
import { imageSourceText, type LocalImageSource } from "../../model/image_source.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { VmRecord } from "../../model/vm.ts";
import { ensureBootSet, findBootSet, type WholeBootSet } from "./boot_sets.ts";
import { pullImage, pullKernel } from "./pull.ts";
import { isFile } from "../../files/is_file.ts";
import { findRegistryImage, pullRegistryImage } from "./pull_registry.ts";
import type { ImageServiceDeps, RegistryImage } from "./contract.ts";
import { deleteImage, deleteKernel } from "./delete.ts";
import { withDiskUse } from "./disk_use.ts";
import { ensureKit } from "./ensure_kit.ts";
import { ensureImage, ensureKernel } from "./ensure.ts";
import { HandedOut } from "./handed_out.ts";
import { type Offer, Offers } from "./offers.ts";
import { findImageFrom } from "./publish_oci.ts";
import { pullLocalImage } from "./pull_local.ts";
import { promoteImage } from "./promote.ts";
import { registerImage, type RegisterRequest } from "./register.ts";
import { prune, type Pruned, type PruneRequest } from "./prune.ts";
import { SharedPulls } from "./shared_pulls.ts";
import { listImages, listKernels, showImage, showKernel } from "./views.ts";

/** What the verbs share: the dependencies and the pulls under way. */
export interface ImageServiceParts extends ImageServiceDeps {
  readonly imagePulls: SharedPulls<ImageRecord>;
  readonly kernelPulls: SharedPulls<KernelRecord>;
  readonly kitPulls: SharedPulls<string>;
  readonly handedOut: HandedOut;
}

/**
 * Images, kernels and the guest kit. Takes only the `image_ops` lock, and only to publish and to
 * delete; callers hold no lock of that rank.
 */
export class ImageService {
  readonly #parts: ImageServiceParts;
  readonly #offers: Offers;

  constructor(deps: ImageServiceDeps) {
    this.#offers = new Offers(deps.randomHex);
    this.#parts = {
      ...deps,
      imagePulls: new SharedPulls(),
      kernelPulls: new SharedPulls(),
      kitPulls: new SharedPulls(),
      handedOut: new HandedOut(deps.now),
    };
  }

  /** See {@linkcode pullImage}; who asks for it by name gets what the catalog has now. */
  pullImage(
    name: string,
    options: { readonly refresh: boolean },
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<ImageRecord> {
    this.#parts.catalog.forget();
    return options.refresh
      ? pullImage(this.#parts, name, reporter, signal)
      : ensureImage(this.#parts, name, reporter, signal);
  }

  /** See {@linkcode pullRegistryImage}; one that is here is not asked for again unless `refresh`. */
  async pullRegistryImage(
    image: RegistryImage,
    options: { readonly name: string | null; readonly refresh: boolean },
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<ImageRecord> {
    const present = findRegistryImage(this.#parts, image.reference, options.name);
    if (present !== undefined && !options.refresh && await isFile(present.rootfsPath)) {
      return present;
    }
    return await pullRegistryImage(this.#parts, image, options.name, reporter, signal);
  }

  /** Makes an {@linkcode Offer} of a client, for {@linkcode pullLocalImage}. */
  offer(): Offer {
    return this.#offers.make();
  }

  /** See {@linkcode pullLocalImage}; one that is here is not read again unless `refresh`. */
  async pullLocalImage(
    source: LocalImageSource,
    offer: string,
    options: { readonly name: string | null; readonly refresh: boolean },
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<ImageRecord> {
    const asked = imageSourceText(source);
    const present = findImageFrom(this.#parts, { name: options.name, source: asked, asked });
    if (present !== undefined && !options.refresh && await isFile(present.rootfsPath)) {
      return present;
    }
    const bytes = await this.#offers.take(offer);
    return await pullLocalImage(this.#parts, { source, bytes }, options.name, reporter, signal);
  }

  /** See {@linkcode pullKernel}; as {@linkcode pullImage}. */
  pullKernel(
    name: string,
    options: { readonly refresh: boolean },
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<KernelRecord> {
    this.#parts.catalog.forget();
    return options.refresh
      ? pullKernel(this.#parts, name, reporter, signal)
      : ensureKernel(this.#parts, name, reporter, signal);
  }

  /** Path of the guest kit's disk; see {@linkcode ensureKit}. */
  ensureKit(reporter: StageReporter, signal: AbortSignal): Promise<string> {
    return ensureKit(this.#parts, reporter, signal);
  }

  /** The `BootSetSource` of the VM service: {@linkcode ensureBootSet}. */
  async ensure(
    image: string,
    kernel: string | null,
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<WholeBootSet> {
    const { handedOut } = this.#parts;
    using _image = handedOut.hold("image", image);
    using _kernel = kernel === null ? null : handedOut.hold("kernel", kernel);
    return await ensureBootSet(this.#parts, image, kernel, reporter, signal);
  }

  /** The `BootSetSource` of the VM service: {@linkcode findBootSet}. */
  find(vm: Pick<VmRecord, "config" | "imageDigest" | "kernelDigest">): Promise<WholeBootSet> {
    return findBootSet(this.#parts, vm);
  }

  /** See {@linkcode registerImage}. */
  registerImage(request: RegisterRequest, signal: AbortSignal): Promise<ImageRecord> {
    return registerImage(this.#parts, request, signal);
  }

  /** See {@linkcode promoteImage}. */
  promoteImage(name: string, reporter: StageReporter, signal: AbortSignal): Promise<ImageRecord> {
    return promoteImage(this.#parts, name, reporter, signal);
  }

  /** See {@linkcode prune}. */
  prune(request: PruneRequest, signal: AbortSignal): Promise<Pruned[]> {
    return prune(this.#parts, request, signal);
  }

  async listImages(): Promise<ImageView[]> {
    return await withDiskUse(this.#parts, listImages(this.#parts));
  }

  /** @throws BangerError `not_found` */
  async showImage(name: string): Promise<ImageView> {
    const [image] = await withDiskUse(this.#parts, [showImage(this.#parts, name)]);
    return image!;
  }

  /** See {@linkcode deleteImage}. */
  deleteImage(name: string, signal: AbortSignal): Promise<void> {
    return deleteImage(this.#parts, name, signal);
  }

  listKernels(): KernelView[] {
    return listKernels(this.#parts);
  }

  /** @throws BangerError `not_found` */
  showKernel(name: string): KernelView {
    return showKernel(this.#parts, name);
  }

  /** See {@linkcode deleteKernel}. */
  deleteKernel(name: string, signal: AbortSignal): Promise<void> {
    return deleteKernel(this.#parts, name, signal);
  }
}
