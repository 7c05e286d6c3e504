/**
 * `make` as a function that does it once: who calls meanwhile or later gets the same answer. What failed is not
 * remembered: the next call tries anew.
 */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () =>
    made ??= make().catch((error) => {
      made = undefined;
      throw error;
    });
}
