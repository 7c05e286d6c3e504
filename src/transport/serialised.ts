/**
 * A result that was made into JSON before, so that an answer that many callers get is made once.
 * `T` is what the JSON is of; it exists for the compiler only.
 */
export class Serialised<T> {
  /** JSON in UTF-8, without a line feed. Nobody may change it: it is sent as it is. */
  readonly bytes: Uint8Array;
  declare readonly of: T;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}
