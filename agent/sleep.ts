/**
 * Settles after so many milliseconds.
 *
 * The first `setTimeout` loads Deno's Node layer: 0.15 s under emulation, just when the host waits for the
 * first command. `Atomics.waitAsync` is a part of V8 (ECMA-262, 25.4.16). It does not keep the process alive.
 */
export async function sleep(ms: number): Promise<void> {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  await Atomics.waitAsync(nobody, 0, 0, ms).value;
}
