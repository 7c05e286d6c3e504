import type { ImageRecord } from "../../model/artefacts.ts";
import { BangerError } from "../../model/errors.ts";

/** How an image that came from elsewhere is had again, by the start of its source. */
const ways:
  readonly (readonly [prefix: string, command: (name: string, rest: string) => string])[] = [
    ["registry:", (name, rest) => `banger image pull --refresh --name ${name} ${rest}`],
    ["oci:", (name, rest) => `banger image pull --refresh --name ${name} oci:${rest}`],
    [
      "docker-archive:",
      (name, rest) => `banger image pull --refresh --name ${name} docker-archive:${rest}`,
    ],
    ["file:", (name, rest) => `banger image register ${name} --rootfs ${rest}`],
  ];

/**
 * Refuses to pull by its name alone what a user once named the source of: the name does not tell it.
 *
 * @throws BangerError `conflict` with the command that does it
 */
export function refuseOtherSource(image: ImageRecord | undefined): void {
  if (image === undefined) return;
  const { name, source } = image;
  const way = ways.find(([prefix]) => source.startsWith(prefix));
  if (way === undefined) return;
  const [prefix, command] = way;
  throw new BangerError(
    "conflict",
    `Cannot pull image "${name}" by its name: the image of that name came from ${source}`,
    { hint: command(name, source.slice(prefix.length)) },
  );
}
