import { kitPath } from "../src/wire/messages.ts";
import { lanePort } from "./lane_port.ts";

/** What the agent knows and where it works; tests give other directories. */
export interface AgentContext {
  /** The guest's root directory, without a slash at the end; empty for `/`. */
  readonly root: string;
  /** Where the guest kit's programs are. */
  readonly kit: string;
  /** Path of a lane's device, `undefined` when there is no such lane. */
  readonly lanePort: (lane: number) => string | undefined;
  /** Whether an identity was given. */
  isIdentified: boolean;
  /** Commands that are being started, or were a moment ago. */
  headStarts: number;
  /** Whether what commands wait for has been, or need not be, waited for. */
  isAwaited: boolean;
  /** Called once, when the first identity has been applied. */
  onIdentity: () => void;
}

/** The context of a real guest. */
export function guestContext(): AgentContext {
  return {
    root: "",
    kit: kitPath,
    lanePort,
    isIdentified: false,
    headStarts: 0,
    isAwaited: false,
    onIdentity: () => {},
  };
}
