import type { Refusal } from "../steps.ts";
import type { PortProblem } from "./host_ports.ts";

/** A port that cannot be had, among all else that a start lacks. */
export function portRefusal({ port: { hostPort, guestPort }, error }: PortProblem): Refusal {
  return { error, about: `port ${hostPort ?? `${guestPort} of the guest`}` };
}
