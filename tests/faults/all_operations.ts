import type { FaultOperation } from "./operation.ts";
import { imageOperations } from "./image_operations.ts";
import { vmOperations } from "./vm_operations.ts";

/** Every operation of the matrix. */
export const allOperations: readonly FaultOperation[] = [...vmOperations, ...imageOperations];
