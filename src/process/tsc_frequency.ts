/** What the host says about its processor's clock. */
export interface ClockFacts {
  /** `/proc/cpuinfo`. */
  readonly cpuinfo: string;
  /** `/sys/devices/system/cpu/cpu0/cpufreq/base_frequency` in kHz; `null` where it is missing. */
  readonly baseFrequency: string | null;
  /** Whether `/sys/devices/system/cpu/cpu0/cpufreq` exists: `cpu MHz` then is what it runs at now. */
  readonly scales: boolean;
}

/**
 * The frequency of the host's time stamp counter in kHz, or `null` when it cannot be told. Under
 * software emulation the guest's counter is the host's, and a guest kernel that has to measure it
 * on a busy host fails at that, and then hangs.
 */
export function tscFrequencyKhz(facts: ClockFacts): number | null {
  const text = facts.scales
    ? facts.baseFrequency
    : /^cpu MHz\s*:\s*([0-9.]+)$/m.exec(facts.cpuinfo)?.[1];
  if (text === null || text === undefined) return null;
  const khz = Math.round(Number(text) * (facts.scales ? 1 : 1000));
  return khz >= 100_000 && khz <= 10_000_000 ? khz : null;
}

/** {@linkcode tscFrequencyKhz} of this host; needs the right to read `/proc` and `/sys`. */
export function readTscFrequencyKhz(): number | null {
  const cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq";
  const cpuinfo = Deno.readTextFileSync("/proc/cpuinfo");
  if (!isThere(cpufreq)) return tscFrequencyKhz({ cpuinfo, baseFrequency: null, scales: false });
  const base = `${cpufreq}/base_frequency`;
  const baseFrequency = isThere(base) ? Deno.readTextFileSync(base).trim() : null;
  return tscFrequencyKhz({ cpuinfo, baseFrequency, scales: true });
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
