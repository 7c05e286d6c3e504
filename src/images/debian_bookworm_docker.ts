import { waitForFile } from "../wire/messages.ts";
import { debianBookworm } from "./debian_bookworm.ts";
import type { ImageRecipe } from "./image_recipe.ts";

const gib = 1024 ** 3;

/** {@linkcode debianBookworm} with Debian's Docker, for repositories that build or run containers. */
export const debianBookwormDocker: ImageRecipe = {
  ...debianBookworm,
  name: "debian-bookworm-docker",
  // Docker confines its containers by AppArmor where the kernel has it, with a program of this package.
  packages: [...debianBookworm.packages, "docker.io", "apparmor"],
  maskedUnits: [
    ...debianBookworm.maskedUnits,
    // Profiles of programs that are not here; Docker loads its own.
    "apparmor.service",
  ],
  files: [
    ...debianBookworm.files,
    // Commands start when Docker can be asked: its socket is there as soon as systemd is up.
    { path: waitForFile, mode: 0o644, text: "/run/docker.sock\n" },
  ],
  removed: [
    ...debianBookworm.removed,
    // Both are started by the first who asks for them, through Docker's socket: they take seconds.
    "/etc/systemd/system/multi-user.target.wants/docker.service",
    "/etc/systemd/system/multi-user.target.wants/containerd.service",
  ],
  // For other images and their containers.
  virtualBytes: 24 * gib,
  treeInMemoryFromMib: 3584,
  neededBytes: 1.5 * gib,
};
