import type { ImageFile } from "./image_recipe.ts";

const bashrc = `# ~/.bashrc: for interactive shells.
case $- in
*i*) ;;
*) return ;;
esac
HISTCONTROL=ignoreboth
HISTSIZE=10000
shopt -s histappend checkwinsize
case $TERM in
dumb) PS1='\\u@\\h:\\w\\$ ' ;;
*)
  PS1='\\[\\e[1;32m\\]\\u@\\h\\[\\e[0m\\]:\\[\\e[1;34m\\]\\w\\[\\e[0m\\]\\$ '
  alias ls='ls --color=auto' grep='grep --color=auto'
  ;;
esac
alias ll='ls -alF'
`;

const profile = `# ~/.profile: for login shells.
[ -z "$BASH_VERSION" ] || . ~/.bashrc
`;

/** What every image built here gets beside its packages. */
export const imageFiles: readonly ImageFile[] = [
  { path: "/root/.bashrc", mode: 0o644, text: bashrc },
  { path: "/root/.profile", mode: 0o644, text: profile },
  { path: "/etc/default/locale", mode: 0o644, text: "LANG=C.UTF-8\n" },
  { path: "/etc/environment", mode: 0o644, text: "LANG=C.UTF-8\n" },
  {
    // In place of the one of the same name below /usr/lib: a command may already run with files in
    // /tmp while systemd boots, so nothing there is removed at boot.
    path: "/etc/tmpfiles.d/tmp.conf",
    mode: 0o644,
    text: "q /tmp 1777 root root -\nq /var/tmp 1777 root root -\n",
  },
  {
    path: "/etc/systemd/journald.conf.d/banger.conf",
    mode: 0o644,
    text: "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
  },
  {
    path: "/etc/systemd/system.conf.d/banger.conf",
    mode: 0o644,
    text: "[Manager]\nShowStatus=no\nLogColor=no\nDefaultTimeoutStopSec=10s\n",
  },
  {
    path: "/etc/apt/apt.conf.d/90banger",
    mode: 0o644,
    text: 'Acquire::Languages "none";\n',
  },
  {
    // Sparse overlay disks are thrown away, not repaired: do not wait for them after each file.
    path: "/etc/dpkg/dpkg.cfg.d/banger",
    mode: 0o644,
    text: "force-unsafe-io\n",
  },
];
