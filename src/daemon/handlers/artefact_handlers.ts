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

/** Handlers of every `image.*` and `kernel.*` method. */
export function artefactHandlers(
  service: ImageService,
  operations: Operations,
): ArtefactHandlers {
  return {
    "image.list": async () => ({ images: await service.listImages() }),
    "image.show": async ({ image }) => ({ image: await service.showImage(image) }),
    "image.pull": ({ image, refresh }) => ({
      operationId: operations.begin(
        { method: "image.pull", subject: image },
        async (reporter, signal) => {
          const pulled = await service.pullImage(image, { refresh }, reporter, signal);
          return { image: await service.showImage(pulled.name) };
        },
      ),
    }),
    "image.pull_registry": ({ reference: text, name, refresh, credentials }) => {
      const reference = parseImageReference(text);
      return {
        operationId: operations.begin(
          { method: "image.pull", subject: imageReferenceText(reference) },
          async (reporter, signal) => {
            const pulled = await service.pullRegistryImage(
              { reference, credentials },
              { name, refresh },
              reporter,
              signal,
            );
            return { image: await service.showImage(pulled.name) };
          },
        ),
      };
    },
    "image.offer": (_params, context) => {
      const { id, serve, drop } = service.offer();
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
            const pulled = await service.pullLocalImage(source, offer, options, reporter, signal);
            return { image: await service.showImage(pulled.name) };
          },
        ),
      };
    },
    "image.register": async ({ image, rootfs, kernel }, { signal }) => {
      await service.registerImage({ name: image, path: rootfs, kernel }, signal);
      return { image: await service.showImage(image) };
    },
    "image.promote": ({ image }) => ({
      operationId: operations.begin(
        { method: "image.promote", subject: image },
        async (reporter, signal) => {
          await service.promoteImage(image, reporter, signal);
          return { image: await service.showImage(image) };
        },
      ),
    }),
    "image.prune": async (request, { signal }) => {
      const removed = await service.prune(request, signal);
      return { removed, bytes: removed.reduce((sum, { bytes }) => sum + bytes, 0) };
    },
    "image.delete": async ({ image }, { signal }) => {
      await service.deleteImage(image, signal);
      return {};
    },
    "kernel.list": () => ({ kernels: service.listKernels() }),
    "kernel.show": ({ kernel }) => ({ kernel: service.showKernel(kernel) }),
    "kernel.pull": ({ kernel, refresh }) => ({
      operationId: operations.begin(
        { method: "kernel.pull", subject: kernel },
        async (reporter, signal) => {
          const pulled = await service.pullKernel(kernel, { refresh }, reporter, signal);
          return { kernel: service.showKernel(pulled.name) };
        },
      ),
    }),
    "kernel.delete": async ({ kernel }, { signal }) => {
      await service.deleteKernel(kernel, signal);
      return {};
    },
  };
}
