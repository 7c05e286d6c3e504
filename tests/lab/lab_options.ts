import { Banger } from "../support/banger.ts";
import type { LabOptions } from "./lab_host.ts";

/** How long the default image may take to be pulled here, the first time. */
const pullTimeoutMs = 15 * 60_000;

/**
 * What the lab host is made of, below the user's own cache: its disk, and a home directory in which
 * image, kernel and kit have been pulled already, so that the slow machine downloads nothing.
 */
export async function labOptions(): Promise<LabOptions> {
  const cacheDir = `${Deno.env.get("HOME")}/.cache/banger-tests/lab`;
  const home = `${cacheDir}/home`;
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  const banger = new Banger(home);
  try {
    // Creating a VM gets all that it boots from.
    await banger.ok(["vm", "create", "--name", "prepared"], { timeoutMs: pullTimeoutMs });
  } finally {
    await banger.close();
  }
  return { cacheDir, home, program: new URL("../../build/bin/banger", import.meta.url).pathname };
}
