import type { FaultOperation } from "./operation.ts";
import { guestOperations } from "./guest_operations.ts";
import { imageOperations } from "./image_operations.ts";
import { kernelOperations } from "./kernel_operations.ts";
import { portOperations } from "./port_operations.ts";
import { olderStoreOperation } from "./older_store_operation.ts";
import { startOperation } from "./start_operation.ts";
import { vmOperations } from "./vm_operations.ts";
import { workDiskOperations } from "./work_disk_operations.ts";

/** Every operation of the matrix. */
export const allOperations: readonly FaultOperation[] = [
  ...vmOperations,
  ...portOperations,
  ...workDiskOperations,
  ...guestOperations,
  ...imageOperations,
  ...kernelOperations,
  startOperation,
  olderStoreOperation,
];
