/** Bytes in GiB with at most two decimals, for messages about disks: `8 GiB`, `0.5 GiB`. */
export function gibText(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(2).replace(/\.?0+$/, "")} GiB`;
}
