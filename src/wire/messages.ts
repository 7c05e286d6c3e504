/**
 * What host and guest say to each other over the agent link: the only code they share.
 *
 * Imports nothing. Frames are in `frame.ts`, the multiplexer in `mux.ts`. Everything that a guest
 * sends is untrusted: the host decodes it with bounds and treats it as data.
 */

/**
 * Protocol versions this build speaks, lowest and highest; the highest common one is used. From 2 on a guest
 * knows workspaces, what images say, and sessions; from 3 on it connects to its own ports and watches them.
 */
export const protocolVersions = { lowest: 1, highest: 3 } as const;

/** Longest control message (JSON), in bytes. */
export const maxControlBytes = 64 * 1024;

/** The name of the virtio-serial port (`/dev/virtio-ports/NAME`, sysfs attribute `name`). */
export const agentPortName = "banger.agent.0";

/** Guest TCP port of the kit's ssh server. */
export const sshPort = 22;

/** Where the guest kit is mounted in every guest. */
export const kitPath = "/.banger";

/** Pipe of the guest: a line in it tells the kit's init to go on with the image's own init. */
export const handOverFifo = "/run/banger/hand-over";

/** Directory of the guest with the files of its identity as they came in the initrd. */
export const identitySeedDir = "/run/banger/seed";

/** File of the guest with the stamp of the identity that it has. */
export const identityStampFile = "/run/banger/identity";

/**
 * The first line written here sets the clock (`@SECONDS`; an empty line leaves it), the second starts the
 * kit's ssh server, a moment later.
 */
export const stewardFifo = "/run/banger/steward";

/** The virtio-blk serial by which a guest finds its work disk. */
export const workDiskSerial = "banger-work";

/** Where a guest has its work disk; only root may look at it. The directory `home` on it is the home directory. */
export const workDiskDir = "/run/banger/work";

/** File of the guest: the work disk is in its place. */
export const workDiskMark = "/run/banger/work-disk";

/** File of the guest: the work disk is being filled or made larger, which the image's own init waits for. */
export const homeCopyMark = "/run/banger/home-copy";

/** Directory of the guest with the sessions that wait for their ssh connection, one file each. */
export const sessionsDir = "/run/banger/sessions";

/**
 * Login name of banger's own ssh sessions: another name of root's, whose shell is the kit's `session`,
 * so that they work whatever shell the image's root has.
 */
export const sessionUser = "banger-session";

/** File of an image with a path: commands start when that exists (for some time at most). */
export const waitForFile = "/etc/banger/wait-for";

/** First message of a session, host → guest. */
export interface Hello {
  readonly magic: "banger-link";
  /** 32 hexadecimal digits, echoed in the answer: tells this session's bytes from stale ones. */
  readonly nonce: string;
  readonly versions: { readonly lowest: number; readonly highest: number };
}

/** Answer to {@linkcode Hello}. Its arrival is what "ready" means. */
export interface Welcome {
  readonly magic: "banger-link";
  readonly nonce: string;
  readonly version: number;
  readonly agentVersion: string;
  /** Seconds since the guest's kernel started. */
  readonly uptimeS: number;
}

/** One request per stream, in the stream's OPEN frame. */
export type AgentRequest =
  | { readonly method: "health" }
  | { readonly method: "identity"; readonly identity: Identity }
  | { readonly method: "exec"; readonly exec: ExecRequest }
  /** `id`: 32 hexadecimal digits, the one command that `sessionUser` takes, once. */
  | { readonly method: "session"; readonly id: string; readonly exec: ExecRequest }
  | { readonly method: "ports" }
  /**
   * A connection to what listens on a TCP port of the guest, on its loopback or another address: channel 0 is
   * its bytes, both ways, each with an end of its own. Answered when both have ended, with a failure when the
   * connection broke; a reset of the stream resets the connection.
   */
  | { readonly method: "forward"; readonly port: number }
  /** Says which TCP ports listen, now and at every change (`src/wire/port_watch.ts`), until it is reset. */
  | { readonly method: "watch_ports" }
  | { readonly method: "stats" }
  | { readonly method: "shutdown"; readonly how: "poweroff" | "reboot" };

/**
 * Who the guest is from now on, before the ssh server starts. It comes in the guest's initrd, so that it
 * is applied while the agent starts, and again to the agent, which applies what was not.
 */
export interface Identity {
  /** 32 hexadecimal digits, new for each start: what the guest has when all of this was applied. */
  readonly stamp: string;
  readonly hostname: string;
  /** 32 hexadecimal digits. */
  readonly machineId: string;
  /** Wall clock of the host, milliseconds since the epoch. */
  readonly clockMs: number;
  /** OpenSSH private key (PEM text) and public key line of the host key. */
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string };
  /** Lines for `authorized_keys` of the login user. */
  readonly authorizedKeys: readonly string[];
  readonly git: { readonly name: string; readonly email: string } | null;
  readonly network: {
    /** MAC address of the interface to configure, lower-case. */
    readonly mac: string;
    /** Address with prefix length, `10.0.2.15/24`. */
    readonly address: string;
    readonly gateway: string;
    readonly dns: readonly string[];
  } | null;
  /** Grow the root file system to its disk. */
  readonly growRoot: boolean;
  /**
   * The VM has a work disk, which becomes the home directory of this user: as an image names one; `null`, or
   * one that the guest does not have, is root. `null`: no work disk.
   */
  readonly workDisk: { readonly user: string | null } | null;
}

/** A program to run in the guest. stdin is stream data host → guest until EOF. */
export interface ExecRequest {
  /** Empty: a shell, or where the guest has none what the image runs. */
  readonly argv: readonly string[];
  /** Must exist; `null` is the workspace, else the image's directory, else the home directory. */
  readonly cwd: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** A user of the guest, as an image names one; `null` is the image's, else root. */
  readonly user: string | null;
  /** When false, stdin is /dev/null and the stream's host → guest direction carries only signals. */
  readonly stdin: boolean;
  readonly workspace?: WorkspacePlace | null;
  readonly image?: ImageDefaults | null;
}

/** The directory of a copied repository: below the home directory of whom it belongs to. */
export interface WorkspacePlace {
  /** One component of a path. */
  readonly name: string;
  /** As an image names a user; `null`, or one that the guest does not have, is root. */
  readonly owner: string | null;
  /**
   * It is about to be made: the program starts in `/` and is told where, `BANGER_WORKSPACE`, and for whom,
   * `BANGER_WORKSPACE_OWNER` (`UID:GID`).
   */
  readonly isNew: boolean;
}

/** What an image says about programs; whatever a guest does not have is left out. */
export interface ImageDefaults {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  readonly user: string | null;
  /** What it runs: ENTRYPOINT and CMD; may be empty. */
  readonly argv: readonly string[];
}

/** Control messages on an open stream, host → guest. */
export type StreamControl = {
  readonly control: "signal";
  readonly signal: "INT" | "TERM" | "HUP" | "KILL" | "QUIT";
};

/** The last message of a stream, guest → host. */
export type AgentReply =
  | { readonly ok: true; readonly result: AgentResult }
  | { readonly ok: false; readonly kind: AgentFailureKind; readonly message: string };

/** `not_found`: no such program, directory or user; `not_executable`; `invalid`; `internal`. */
export type AgentFailureKind = "not_found" | "not_executable" | "invalid" | "internal";

/** What a request answers, by method. */
export type AgentResult =
  | { readonly method: "health"; readonly health: Health }
  | { readonly method: "identity"; readonly tookMs: number }
  | { readonly method: "exec"; readonly exit: ExecExit }
  | { readonly method: "session" }
  | { readonly method: "ports"; readonly ports: readonly ListeningPort[] }
  | { readonly method: "forward" }
  | { readonly method: "watch_ports" }
  | { readonly method: "stats"; readonly stats: GuestStats }
  | { readonly method: "shutdown" };

/** How a guest program ended: exit code, or the number of the signal that killed it. */
export type ExecExit =
  | { readonly how: "exited"; readonly code: number }
  | { readonly how: "signaled"; readonly signal: number };

/** State of the guest as the agent sees it. */
export interface Health {
  readonly agentVersion: string;
  readonly uptimeS: number;
  /** `running`, `degraded`, `starting`, … as `systemctl is-system-running` says; "none" without systemd. */
  readonly initState: string;
  readonly sshReady: boolean;
}

/** One listening socket of the guest (from /proc/net/tcp, tcp6, udp, udp6). */
export interface ListeningPort {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  /** Program name, when it can be told. */
  readonly process: string | null;
}

/** Load, memory, disk, processor and network of the guest. `null`: it does not tell. */
export interface GuestStats {
  readonly load1: number;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  readonly diskTotalBytes: number;
  readonly diskFreeBytes: number;
  /** Time of all processors since the guest's kernel started, in seconds: all of it, and what was not idle. */
  readonly cpu: { readonly totalS: number; readonly busyS: number } | null;
  /** Bytes over all interfaces but the loopback since then. */
  readonly network: { readonly receivedBytes: number; readonly sentBytes: number } | null;
  /** Connections to the kit's ssh server that are open. */
  readonly sshSessions: number | null;
}
