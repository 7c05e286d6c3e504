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
    "image.list": () => ({ images: service.listImages() }),
    "image.show": ({ image }) => ({ image: service.showImage(image) }),
    "image.pull": ({ image, refresh }) => ({
      operationId: operations.begin(
        { method: "image.pull", subject: image },
        async (reporter, signal) => {
          const pulled = await service.pullImage(image, { refresh }, reporter, signal);
          return { image: service.showImage(pulled.name) };
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
            return { image: service.showImage(pulled.name) };
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
            return { image: service.showImage(pulled.name) };
          },
        ),
      };
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
