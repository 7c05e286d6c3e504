import type { ImageView } from "../../api/artefacts.ts";
import type { MethodName, ParamsOf, ResultOf } from "../../api/methods.ts";
import type { DaemonPort } from "../context.ts";

/** An image with every field set. */
export function imageViewOf(given: Partial<ImageView> = {}): ImageView {
  return {
    name: "alpine-3.20",
    digest: `sha256:${"a".repeat(64)}`,
    source: "registry:registry.example/alpine:3.20",
    sourceReason: null,
    publication: null,
    arch: "x86_64",
    kernel: "debian-6.1-cloud",
    virtualBytes: 8 * 1024 ** 3,
    diskBytes: 9 * 1024 ** 2,
    blobBytes: 3 * 1024 ** 2,
    sharedBytes: 0,
    createdAtMs: 1_700_000_000_000,
    managed: true,
    rootfsPath: "/state/images/aaaa/rootfs.ext4",
    workSeed: null,
    run: { env: ["PATH=/bin"], workingDir: "/", user: "", entrypoint: [], cmd: ["sh"] },
    usedBy: ["web"],
    ...given,
  };
}

/** A port whose calls are answered by `answer`, and remembered. */
export function answering(answer: (method: MethodName, params: object) => object) {
  const calls: { readonly method: MethodName; readonly params: object }[] = [];
  const port: DaemonPort = {
    call: <M extends MethodName>(method: M, params: ParamsOf<M>) => {
      calls.push({ method, params });
      return Promise.resolve(answer(method, params) as ResultOf<M>);
    },
    watch: () => Promise.reject(new Error("nothing is watched")),
    upgrade: () => Promise.reject(new Error("nothing is upgraded")),
    close: () => {},
  };
  return { calls, connect: () => port };
}
