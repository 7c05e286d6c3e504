/** Bounds on what an image may say about itself. */
export const imageLimits = {
  /** The distribution specification asks registries to take at least this. */
  manifestBytes: 4 * 1024 ** 2,
  /** Histories of generated images reach some 100 KiB. */
  configBytes: 4 * 1024 ** 2,
  /** Deeper nesting than any schema here has. */
  jsonDepth: 32,
  /** Docker stops at 127; others at what overlayfs takes, 500. */
  layers: 500,
  /** Manifests and indexes that are read on the way to one image. */
  manifests: 16,
  /** Index in index; the specification allows it, hardly anyone does it. */
  indexDepth: 3,
  /** Of one layer, compressed. */
  layerBytes: 64 * 1024 ** 3,
  /** Of all layers, compressed. */
  totalBytes: 128 * 1024 ** 3,
} as const;
