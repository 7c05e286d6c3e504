/** What `rootHelp` makes of the commands, ready to be printed; a test compares the two. */
export const rootHelpText = `Usage: banger COMMAND [OPTIONS] [ARGUMENTS]

Boots a throw-away Linux machine with your repository in it.

Start here:
  banger vm run               a shell in a fresh VM with this repository
  banger vm run -- make test  one command in it; its output and exit code are
                              banger's
  banger doctor               what this host has and lacks

Commands:
  vm run              Boot a VM with the repository in it and run a shell or
                      command there
  vm create           Create a VM
  vm start            Start VMs
  vm stop             Shut VMs down
  vm restart          Shut VMs down and start them
  vm kill             End VMs at once, without asking their guests
  vm reset            Give VMs a fresh system disk; their home directories stay
  vm set              Change a VM's name, size or labels
  vm delete           Delete VMs and their disks
  vm list             List VMs
  vm show             Show a VM
  vm ssh              Open a shell in a VM, or run a command over ssh
  vm exec             Run a command in a VM
  vm ping             Ask VMs whether they answer
  vm health           Show how a VM's guest is
  vm stats            Show what running VMs use
  vm ports            List what listens in a VM, and ports that lead there
  vm ports publish    Let ports of this host lead to a VM's
  vm ports unpublish  Take published ports back
  vm logs             Print the end of a VM's console, or follow it
  image pull          Fetch or build an image
  image list          List images
  image show          Show an image
  image register      Make a file of yours an image, where it is
  image promote       Copy the file of a registered image for banger to keep
  image delete        Delete images
  image prune         Remove what nothing uses
  kernel pull         Fetch and verify a kernel
  kernel list         List kernels
  kernel show         Show a kernel
  kernel delete       Delete kernels
  operation list      List operations
  operation show      Show an operation and its stages
  operation wait      Wait for an operation and end as it does
  operation cancel    Stop an operation and undo it
  daemon run          Run the daemon in the foreground
  daemon status       Tell whether the daemon runs, and its figures
  daemon stop         End the daemon; VMs go on
  daemon reconcile    Mend what does not agree between store, processes and
                      files
  daemon logs         Print the end of the daemon's log
  daemon metrics      Print figures of daemon and VMs for Prometheus
  config show         Print the configuration in force
  config path         Print where the configuration file is
  doctor              Check what this host has and lacks
  version             Print version and build

Options of every command:
  -q, --quiet    Print no stages and notices
  -v, --verbose  Print details of failures
  -h, --help     Print this help

banger COMMAND --help explains a command.
`;
