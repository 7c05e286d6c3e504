import { BangerError } from "../model/errors.ts";

const unitBytes: Readonly<Record<string, number>> = {
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/**
 * A size in bytes from what a user writes: `2G`, `512M`, `1.5GiB`, `1T`, or a plain number of MiB.
 * Units are powers of 1024, in either case.
 *
 * @throws BangerError `invalid` when it is no size, or no whole number of bytes
 */
export function parseSize(size: string | number): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*(?:([kmgt])(?:i?b)?)?$/i.exec(String(size).trim());
  const unit = (match?.[2] ?? "m").toLowerCase();
  const bytes = Number(match?.[1]) * (unitBytes[unit] ?? NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new BangerError("invalid", `Cannot read size ${JSON.stringify(size)}: it is not a size`, {
    hint: "Write it like 512M, 8G or 1.5G; a plain number counts MiB",
  });
}
