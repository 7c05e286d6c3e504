import type { FlattenOrder } from "../layers/apart/flatten_job.ts";
import type { RunFlattener } from "../layers/apart/flatten_apart.ts";
import { BangerError } from "../model/errors.ts";
import { blobPartPath, blobPath } from "../oci/blob_path.ts";
import type { Paths } from "../paths/paths.ts";
import { plainEnv } from "../process/run.ts";
import { startPipedProgram } from "../process/piped_program.ts";
import type { SelfCommand } from "../version/self_command.ts";

/**
 * Unlike the daemon's, its code runs hot from the first moment. The index of an image with the most files that
 * are allowed takes 200 MiB.
 */
const memorySettings = {
  DENO_V8_FLAGS: "--max-old-space-size=384,--max-semi-space-size=2",
  MALLOC_ARENA_MAX: "1",
} as const;
/** What it prints in a pull of hours. */
const maxPrintedBytes = 64 * 1024 ** 2;

/**
 * Runs banger as the process that unpacks an image. The paths are made here, from the daemon's own
 * directories and names that were checked, so that the services cannot have anything else read or written.
 */
export function localFlattener(
  paths: Pick<Paths, "stagingDir" | "blobsDir">,
  command: SelfCommand,
): RunFlattener {
  return async ({ staging, file, layers, ...job }, onText, signal) => {
    const order: FlattenOrder = {
      ...job,
      out: `${paths.stagingDir}/${staging}/${file}`,
      layers: layers.map((layer) => ({
        ...layer,
        path: blobPath(paths.blobsDir, layer.digest),
        partPath: blobPartPath(paths.blobsDir, layer.digest),
      })),
    };
    const program = startPipedProgram(command.program, [...command.args, "flattener", "run"], {
      stdin: new TextEncoder().encode(JSON.stringify(order)),
      cwd: "/",
      env: { ...plainEnv, ...command.env, ...memorySettings },
      signal,
    });
    let printed = 0;
    const decoder = new TextDecoder();
    try {
      for await (const chunk of program.stdout) {
        printed += chunk.length;
        if (printed > maxPrintedBytes) {
          throw new BangerError("internal", "Cannot unpack an image: its process says too much");
        }
        onText(decoder.decode(chunk, { stream: true }));
      }
    } catch (error) {
      await program.ended.catch(() => {});
      signal.throwIfAborted();
      throw error;
    }
    return await program.ended;
  };
}
