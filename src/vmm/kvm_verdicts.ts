import { replaceFile } from "../files/replace_file.ts";

/** Longest file that is read and written, in bytes. */
const maxFileBytes = 64 * 1024;
/** Most verdicts that are kept: kernels of which a VM was started since the host did. */
const maxVerdicts = 32;

/** What a trial of KVM came to. */
export interface KvmFinding {
  readonly usable: boolean;
  /** One clause that says why, such as "the kernel did not start within 3 s". */
  readonly reason: string;
  /** What the user can do; `null` when there is nothing. */
  readonly hint: string | null;
}

/** What the verdict depends on: when any of it changes, the trial is made again. */
export interface KvmProbeKey {
  /** `/proc/sys/kernel/random/boot_id`. */
  readonly bootId: string;
  /** SHA-256 of the kernel. */
  readonly kernelDigest: string;
  /** Version of the VMM, or what stands for it. */
  readonly vmmVersion: string;
}

interface Verdict extends KvmFinding, KvmProbeKey {}

/** What the file at `path` remembers of `key`; what is missing or damaged is not remembered. */
export function keptKvmVerdict(path: string, key: KvmProbeKey): KvmFinding | undefined {
  const found = readVerdicts(path).find((verdict) => isOf(verdict, key));
  return found && { usable: found.usable, reason: found.reason, hint: found.hint };
}

/**
 * Has the file at `path` remember what was found, beside what it has of this start of the host; the
 * oldest go when there are too many. Synchronous, so that two trials that end at once keep both.
 */
export function keepKvmVerdict(path: string, key: KvmProbeKey, found: KvmFinding): void {
  const others = readVerdicts(path).filter((verdict) =>
    verdict.bootId === key.bootId && !isOf(verdict, key)
  );
  const verdicts: Verdict[] = [{ ...key, ...found }, ...others].slice(0, maxVerdicts);
  let bytes = fileOf(verdicts);
  for (; bytes.length > maxFileBytes; bytes = fileOf(verdicts)) verdicts.pop();
  replaceFile(path, bytes);
}

function readVerdicts(path: string): Verdict[] {
  try {
    if (Deno.statSync(path).size > maxFileBytes) return [];
    const content: unknown = JSON.parse(Deno.readTextFileSync(path));
    const verdicts = isRecord(content) ? content["verdicts"] : undefined;
    return Array.isArray(verdicts) ? verdicts.flatMap(verdictOf) : [];
  } catch {
    // Missing or damaged: what it said is tried out again.
    return [];
  }
}

function verdictOf(value: unknown): Verdict[] {
  if (!isRecord(value)) return [];
  const { bootId, kernelDigest, vmmVersion, usable, reason, hint } = value;
  if (typeof bootId !== "string" || typeof kernelDigest !== "string") return [];
  if (typeof vmmVersion !== "string" || typeof usable !== "boolean") return [];
  if (typeof reason !== "string") return [];
  const told = typeof hint === "string" ? hint : null;
  return [{ bootId, kernelDigest, vmmVersion, usable, reason, hint: told }];
}

function isOf(verdict: KvmProbeKey, key: KvmProbeKey): boolean {
  return verdict.bootId === key.bootId && verdict.kernelDigest === key.kernelDigest &&
    verdict.vmmVersion === key.vmmVersion;
}

function fileOf(verdicts: readonly Verdict[]): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ verdicts })}\n`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
