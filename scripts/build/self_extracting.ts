import { runFlags } from "../../src/version/run_flags.ts";
import type { Archive } from "./archive.ts";

/** What goes into a self-extracting program. */
export interface SelfExtractingOptions {
  readonly out: string;
  readonly name: string;
  readonly version: string;
  readonly runtime: Archive;
  readonly app: Archive;
}

const stubUrl = new URL("./stub.sh", import.meta.url);

/** Writes stub, runtime and app to one executable file, which appears complete or not at all. */
export async function selfExtracting(options: SelfExtractingOptions): Promise<void> {
  const stub = new TextEncoder().encode(await fillStub(options));
  const temporary = `${options.out}.new`;
  {
    using out = await Deno.open(temporary, { write: true, create: true, truncate: true });
    await writeAll(out, stub);
    for (const part of [options.runtime, options.app]) {
      await writeAll(out, await Deno.readFile(part.path));
    }
  }
  await Deno.chmod(temporary, 0o755);
  await Deno.rename(temporary, options.out);
}

async function fillStub(options: SelfExtractingOptions): Promise<string> {
  const template = await Deno.readTextFile(stubUrl);
  // Offsets (counted from 1, as tail does) have a fixed width, so filling them keeps the length.
  const fill = (runtimeOffset: number) =>
    fillSlots(template, {
      NAME: options.name,
      VERSION: options.version,
      RUNTIME_SHA256: options.runtime.sha256,
      RUNTIME_OFFSET: padded(runtimeOffset),
      RUNTIME_SIZE: padded(options.runtime.sizeBytes),
      APP_SHA256: options.app.sha256,
      APP_OFFSET: padded(runtimeOffset + options.runtime.sizeBytes),
      APP_SIZE: padded(options.app.sizeBytes),
      FLAGS: runFlags.join(" "),
    });
  const length = new TextEncoder().encode(fill(0)).length;
  return fill(length + 1);
}

function fillSlots(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/@([A-Z0-9_]+)@/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`Cannot fill the stub: "${name}" has no value`);
    return value;
  });
}

function padded(count: number): string {
  return String(count).padStart(10, " ");
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}
