import type { Command } from "./command.ts";

/** A command as the tree knows it: enough for the overview; the rest loads when it is named. */
export interface Leaf {
  readonly summary: string;
  readonly load: () => Promise<Command>;
  readonly hidden?: true;
  /** Commands of a third word; no other first argument of this one can be written so. */
  readonly subcommands?: Readonly<Record<string, Leaf>>;
}

/** Commands with a common first word. */
export interface Group {
  readonly summary: string;
  readonly commands: Readonly<Record<string, Leaf>>;
}

/** Every command. Each is a module of its own, loaded by a literal `import()` when it is named. */
export const commandTree: Readonly<Record<string, Leaf | Group>> = {
  vm: {
    summary: "Run, create and look after VMs",
    commands: {
      run: {
        summary: "Boot a VM with the repository in it and run a shell or command there",
        load: async () => (await import("./commands/vm_run.ts")).vmRun,
      },
      create: {
        summary: "Create a VM",
        load: async () => (await import("./commands/vm_create.ts")).vmCreate,
      },
      start: {
        summary: "Start VMs",
        load: async () => (await import("./commands/vm_start.ts")).vmStart,
      },
      stop: {
        summary: "Shut VMs down",
        load: async () => (await import("./commands/vm_stop.ts")).vmStop,
      },
      restart: {
        summary: "Shut VMs down and start them",
        load: async () => (await import("./commands/vm_restart.ts")).vmRestart,
      },
      kill: {
        summary: "End VMs at once, without asking their guests",
        load: async () => (await import("./commands/vm_kill.ts")).vmKill,
      },
      reset: {
        summary: "Give VMs a fresh system disk; their home directories stay",
        load: async () => (await import("./commands/vm_reset.ts")).vmReset,
      },
      set: {
        summary: "Change a VM's name, size or labels",
        load: async () => (await import("./commands/vm_set.ts")).vmSet,
      },
      delete: {
        summary: "Delete VMs and their disks",
        load: async () => (await import("./commands/vm_delete.ts")).vmDelete,
      },
      list: {
        summary: "List VMs",
        load: async () => (await import("./commands/vm_list.ts")).vmList,
      },
      show: {
        summary: "Show a VM",
        load: async () => (await import("./commands/vm_show.ts")).vmShow,
      },
      ssh: {
        summary: "Open a shell in a VM, or run a command over ssh",
        load: async () => (await import("./commands/vm_ssh.ts")).vmSsh,
      },
      exec: {
        summary: "Run a command in a VM",
        load: async () => (await import("./commands/vm_exec.ts")).vmExec,
      },
      ping: {
        summary: "Ask VMs whether they answer",
        load: async () => (await import("./commands/vm_ping.ts")).vmPing,
      },
      health: {
        summary: "Show how a VM's guest is",
        load: async () => (await import("./commands/vm_health.ts")).vmHealth,
      },
      stats: {
        summary: "Show what running VMs use",
        load: async () => (await import("./commands/vm_stats.ts")).vmStats,
      },
      ports: {
        summary: "List what listens in a VM, and ports that lead there",
        load: async () => (await import("./commands/vm_ports.ts")).vmPorts,
        subcommands: {
          publish: {
            summary: "Let ports of this host lead to a VM's",
            load: async () => (await import("./commands/vm_ports_publish.ts")).vmPortsPublish,
          },
          unpublish: {
            summary: "Take published ports back",
            load: async () => (await import("./commands/vm_ports_unpublish.ts")).vmPortsUnpublish,
          },
        },
      },
      logs: {
        summary: "Print the end of a VM's console, or follow it",
        load: async () => (await import("./commands/vm_logs.ts")).vmLogs,
      },
    },
  },
  image: {
    summary: "Pull and look after images",
    commands: {
      pull: {
        summary: "Fetch or build an image",
        load: async () => (await import("./commands/image_pull.ts")).imagePull,
      },
      list: {
        summary: "List images",
        load: async () => (await import("./commands/image_list.ts")).imageList,
      },
      show: {
        summary: "Show an image",
        load: async () => (await import("./commands/image_show.ts")).imageShow,
      },
      register: {
        summary: "Make a file of yours an image, where it is",
        load: async () => (await import("./commands/image_register.ts")).imageRegister,
      },
      promote: {
        summary: "Copy the file of a registered image for banger to keep",
        load: async () => (await import("./commands/image_promote.ts")).imagePromote,
      },
      delete: {
        summary: "Delete images",
        load: async () => (await import("./commands/image_delete.ts")).imageDelete,
      },
      prune: {
        summary: "Remove what nothing uses",
        load: async () => (await import("./commands/image_prune.ts")).imagePrune,
      },
    },
  },
  kernel: {
    summary: "Pull and look after kernels",
    commands: {
      pull: {
        summary: "Fetch and verify a kernel",
        load: async () => (await import("./commands/kernel_pull.ts")).kernelPull,
      },
      list: {
        summary: "List kernels",
        load: async () => (await import("./commands/kernel_list.ts")).kernelList,
      },
      show: {
        summary: "Show a kernel",
        load: async () => (await import("./commands/kernel_show.ts")).kernelShow,
      },
      delete: {
        summary: "Delete kernels",
        load: async () => (await import("./commands/kernel_delete.ts")).kernelDelete,
      },
    },
  },
  operation: {
    summary: "Look after long work: pulls, creations, starts",
    commands: {
      list: {
        summary: "List operations",
        load: async () => (await import("./commands/operation_list.ts")).operationList,
      },
      show: {
        summary: "Show an operation and its stages",
        load: async () => (await import("./commands/operation_show.ts")).operationShow,
      },
      wait: {
        summary: "Wait for an operation and end as it does",
        load: async () => (await import("./commands/operation_wait.ts")).operationWait,
      },
      cancel: {
        summary: "Stop an operation and undo it",
        load: async () => (await import("./commands/operation_cancel.ts")).operationCancel,
      },
    },
  },
  daemon: {
    summary: "Look after the daemon that owns the VMs",
    commands: {
      run: {
        summary: "Run the daemon in the foreground",
        load: async () => (await import("./commands/daemon_run.ts")).daemonRun,
      },
      status: {
        summary: "Tell whether the daemon runs, and its figures",
        load: async () => (await import("./commands/daemon_status.ts")).daemonStatus,
      },
      stop: {
        summary: "End the daemon; VMs go on",
        load: async () => (await import("./commands/daemon_stop.ts")).daemonStop,
      },
      reconcile: {
        summary: "Mend what does not agree between store, processes and files",
        load: async () => (await import("./commands/daemon_reconcile.ts")).daemonReconcile,
      },
      logs: {
        summary: "Print the end of the daemon's log",
        load: async () => (await import("./commands/daemon_logs.ts")).daemonLogs,
      },
      metrics: {
        summary: "Print figures of daemon and VMs for Prometheus",
        load: async () => (await import("./commands/daemon_metrics.ts")).daemonMetrics,
      },
    },
  },
  config: {
    summary: "Show the configuration",
    commands: {
      show: {
        summary: "Print the configuration in force",
        load: async () => (await import("./commands/config_show.ts")).configShow,
      },
      path: {
        summary: "Print where the configuration file is",
        load: async () => (await import("./commands/config_path.ts")).configPath,
      },
    },
  },
  doctor: {
    summary: "Check what this host has and lacks",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  version: {
    summary: "Print version and build",
    load: async () => (await import("./commands/version.ts")).version,
  },
};

/** Whether it is a group. */
export function isGroup(entry: Leaf | Group): entry is Group {
  return "commands" in entry;
}
