/** Size of the length in front of each frame: 32 bits, network order (QEMU's `-netdev stream`). */
export const lengthBytes = 4;

/** Longest frame: the longest IP packet behind an Ethernet header. */
export const maxFrameBytes = 14 + 65_535;

/**
 * Follows the lengths of a stream of frames that is passed on as it is, in whatever pieces it comes.
 */
export class FrameLengths {
  /** Bytes of the current frame that are still to come. */
  #frameRest = 0;
  /** The part of a length that has come so far, and how many bytes it is. */
  #length = 0;
  #lengthRead = 0;

  /** Takes the next bytes. @throws RangeError when a length is impossible */
  take(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frameRest > 0) {
        const taken = Math.min(this.#frameRest, chunk.length - at);
        this.#frameRest -= taken;
        at += taken;
        continue;
      }
      this.#length = ((this.#length << 8) | (chunk[at++] ?? 0)) >>> 0;
      if (++this.#lengthRead < lengthBytes) continue;
      if (this.#length > maxFrameBytes) throw new RangeError(`a frame of ${this.#length} bytes`);
      this.#frameRest = this.#length;
      this.#length = this.#lengthRead = 0;
    }
  }
}
