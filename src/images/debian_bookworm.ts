import { imageFiles } from "./image_files.ts";
import type { ImageRecipe } from "./image_recipe.ts";

const gib = 1024 ** 3;

/** The default image. `images/golden/README.md` says why each part is, or is not, in it. */
export const debianBookworm: ImageRecipe = {
  name: "debian-bookworm",
  suite: "bookworm",
  packages: [
    // What people come for.
    ...["git", "make", "build-essential", "curl", "ca-certificates", "tmux", "sudo"],
    ...["openssh-client", "python3", "less", "nano", "vim-tiny", "unzip", "rsync"],
    // What makes it a machine.
    ...["systemd", "systemd-sysv", "dbus", "kmod", "procps", "iproute2", "iputils-ping", "netbase"],
  ],
  maskedUnits: [
    // Nobody sits at a console: the way in is the agent and ssh.
    ...["getty.target", "getty@tty1.service", "serial-getty@ttyS0.service"],
    ...["serial-getty@hvc0.service", "console-getty.service"],
    // Housekeeping of machines that live for years; each would start at a random moment.
    ...["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"],
    ...["e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer"],
    // The address is there before systemd is.
    ...["systemd-networkd-wait-online.service", "systemd-udev-settle.service"],
    // Cost start time for nothing: there is no hardware clock drift, saved seed or pstore to keep.
    ...["systemd-pstore.service", "systemd-random-seed.service", "systemd-repart.service"],
    // The journal is volatile, and nobody reads a log of runlevels.
    ...["systemd-journal-flush.service", "systemd-update-utmp.service"],
    "systemd-update-utmp-runlevel.service",
  ],
  maskedGenerators: [
    // For encrypted, verified and partitioned disks, hibernation, boot loaders and consoles.
    ...["systemd-bless-boot-generator", "systemd-cryptsetup-generator"],
    ...["systemd-getty-generator", "systemd-gpt-auto-generator"],
    ...["systemd-hibernate-resume-generator", "systemd-integritysetup-generator"],
    "systemd-veritysetup-generator",
  ],
  files: imageFiles,
  removed: [
    ...["/etc/hostname", "/etc/resolv.conf", "/etc/apt/apt.conf.d/99mmdebstrap"],
    ...["/etc/dpkg/dpkg.cfg.d/99mmdebstrap", "/var/lib/dbus/machine-id"],
    // Lets the kernel run .pyc files, for a service and a mount more at every boot.
    "/usr/lib/binfmt.d/python3.11.conf",
    // Both are started by the first who asks for them; at every boot they take half a second.
    "/usr/lib/systemd/system/multi-user.target.wants/dbus.service",
    "/usr/lib/systemd/system/multi-user.target.wants/systemd-logind.service",
  ],
  // Empty, not "uninitialized": systemd then makes one up for the run without its first-boot steps.
  emptied: ["/etc/machine-id"],
  virtualBytes: 8 * gib,
  treeInMemoryFromMib: 3072,
  neededBytes: 1 * gib,
  kernel: "debian-6.1-cloud",
};
