import { kitPath } from "../src/wire/messages.ts";
import { RawListener, socatCommand } from "./raw_listener.ts";

/** What the agent knows and where it works; tests give other directories. */
export interface AgentContext {
  /** The guest's root directory, without a slash at the end; empty for `/`. */
  readonly root: string;
  /** Where the guest kit's programs are. */
  readonly kit: string;
  /** What takes raw connections. */
  readonly raw: RawListener;
  /** Whether an identity was given. */
  isIdentified: boolean;
  /** Commands that are being started, or were a moment ago. */
  headStarts: number;
  /** Called once, when the first identity has been applied. */
  onIdentity: () => void;
}

/** The context of a real guest. */
export function guestContext(): AgentContext {
  const tcp = socatCommand(kitPath);
  const raw = new RawListener("/run/banger/raw", tcp, socatCommand(kitPath, "vsock"));
  return { root: "", kit: kitPath, raw, isIdentified: false, headStarts: 0, onIdentity: () => {} };
}
