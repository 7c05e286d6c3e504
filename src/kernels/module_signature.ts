const mark = new TextEncoder().encode("~Module signature appended~\n");
const trailerBytes = 12;

/**
 * A module without the signature that its build appended (Linux, include/linux/module_signature.h);
 * the module itself where there is none.
 *
 * Checking one takes an emulated processor 10 to 30 ms, for each of the modules that every boot
 * waits for. They come out of a package that was verified, into an initrd that decides over the
 * guest anyway. The kernel notes that it runs an unsigned module (taint flag E).
 */
export function withoutSignature(module: Uint8Array): Uint8Array {
  const markAt = module.length - mark.length;
  const trailerAt = markAt - trailerBytes;
  if (trailerAt < 0 || mark.some((byte, index) => module[markAt + index] !== byte)) return module;
  const view = new DataView(module.buffer, module.byteOffset, module.byteLength);
  const signatureBytes = view.getUint32(markAt - 4);
  return signatureBytes > trailerAt ? module : module.subarray(0, trailerAt - signatureBytes);
}
