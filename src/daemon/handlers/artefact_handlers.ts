import { imageReferenceText, parseImageReference } from "../../model/image_reference.ts";
import { BangerError } from "../../model/errors.ts";
import { imageSourceText, parseImageSource } from "../../model/image_source.ts";
import type { ImageService } from "../../services/image/image_service.ts";
import type { Operations } from "../../services/operation/operations.ts";
import type { ServiceHandlers } from "../handler_table.ts";

type ArtefactHandlers = Pick<
  ServiceHandlers,
  Extract<keyof ServiceHandlers, `image.${string}` | `kernel.${string}`>
>;

/** Handlers of every `image.*` and `kernel.*` method; `service` is asked for by the first call. */
export function artefactHandlers(
  service: () => Promise<ImageService>,
  operations: Operations,
): ArtefactHandlers {
  return {
    "image.list": async () => ({ images: await (await service()).listImages() }),
    "image.show": async ({ image }) => ({ image: await (await service()).showImage(image) }),
    "image.pull": ({ image, refresh }) => ({
      operationId: operations.begin(
        { method: "image.pull", subject: image },
        async (reporter, signal) => {
          const images = await service();
          const pulled = await images.pullImage(image, { refresh }, reporter, signal);
          return { image: await images.showImage(pulled.name) };
        },
      ),
    }),
    "image.pull_registry": ({ reference: text, name, refresh, credentials }) => {
      const reference = parseImageReference(text);
      return {
        operationId: operations.begin(
          { method: "image.pull", subject: imageReferenceText(reference) },
          async (reporter, signal) => {
            const images = await service();
            const pulled = await images.pullRegistryImage(
              { reference, credentials },
              { name, refresh },
              reporter,
              signal,
            );
            return { image: await images.showImage(pulled.name) };
          },
        ),
      };
    },
    "image.offer": async (_params, context) => {
      const { id, serve, drop } = (await service()).offer();
      context.connection.onClose(drop);
      context.upgrade(serve);
      return { offer: id, upgraded: "banger-mux/1" };
    },
    "image.pull_local": ({ source: text, offer, name, refresh }) => {
      const source = parseImageSource(text);
      if (source.kind === "registry" || !source.path.startsWith("/")) {
        throw new BangerError("invalid", `Cannot pull "${text}": it is no absolute path`);
      }
      return {
        operationId: operations.begin(
          { method: "image.pull", subject: imageSourceText(source) },
          async (reporter, signal) => {
            const options = { name, refresh };
            const images = await service();
            const pulled = await images.pullLocalImage(source, offer, options, reporter, signal);
            return { image: await images.showImage(pulled.name) };
          },
        ),
      };
    },
    "image.register": async ({ image, rootfs, kernel }, { signal }) => {
      const images = await service();
      await images.registerImage({ name: image, path: rootfs, kernel }, signal);
      return { image: await images.showImage(image) };
    },
    "image.promote": ({ image }) => ({
      operationId: operations.begin(
        { method: "image.promote", subject: image },
        async (reporter, signal) => {
          const images = await service();
          await images.promoteImage(image, reporter, signal);
          return { image: await images.showImage(image) };
        },
      ),
    }),
    "image.prune": async (request, { signal }) => {
      const removed = await (await service()).prune(request, signal);
      return { removed, bytes: removed.reduce((sum, { bytes }) => sum + bytes, 0) };
    },
    "image.delete": async ({ image }, { signal }) => {
      await (await service()).deleteImage(image, signal);
      return {};
    },
    "kernel.list": async () => ({ kernels: (await service()).listKernels() }),
    "kernel.show": async ({ kernel }) => ({ kernel: (await service()).showKernel(kernel) }),
    "kernel.pull": ({ kernel, refresh }) => ({
      operationId: operations.begin(
        { method: "kernel.pull", subject: kernel },
        async (reporter, signal) => {
          const kernels = await service();
          const pulled = await kernels.pullKernel(kernel, { refresh }, reporter, signal);
          return { kernel: kernels.showKernel(pulled.name) };
        },
      ),
    }),
    "kernel.delete": async ({ kernel }, { signal }) => {
      await (await service()).deleteKernel(kernel, signal);
      return {};
    },
  };
}
