import type * as v from "valibot";
import { imageMethods, kernelMethods } from "./artefacts.ts";
import { daemonMethods } from "./daemon.ts";
import { operationMethods } from "./operation.ts";
import { vmMethods } from "./vm.ts";

/** Every method of the owner daemon's socket. */
export const methods = {
  ...daemonMethods,
  ...vmMethods,
  ...imageMethods,
  ...kernelMethods,
  ...operationMethods,
} as const;

/** Name of a method. */
export type MethodName = keyof typeof methods;

/** Methods that turn their connection into raw bytes. */
export type UpgradingMethod = "vm.exec" | "image.offer";

/** What a client passes. */
export type ParamsOf<M extends MethodName> = v.InferInput<(typeof methods)[M]["params"]>;

/** What a handler gets, after the schema. */
export type CheckedParamsOf<M extends MethodName> = v.InferOutput<(typeof methods)[M]["params"]>;

/** What a method answers. */
export type ResultOf<M extends MethodName> = v.InferOutput<(typeof methods)[M]["result"]>;
