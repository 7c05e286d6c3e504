import { parseWantedPort, portLimits, type WantedPort } from "../model/published_port.ts";
import { flag, type ListSpec } from "./command.ts";

/** `--publish [HOST:]GUEST`, any number of times. */
export const publishOption: ListSpec<WantedPort> = {
  kind: "list",
  short: "p",
  placeholder: "[HOST:]GUEST",
  summary: "Let a port of 127.0.0.1 lead to a TCP port of the guest; may be given again",
  parse: parseWantedPort,
};

/** `--auto-ports` */
export const autoPortsOption = flag(
  `Let ports of 127.0.0.1 lead to what listens in the guest, as it comes and goes (${portLimits.auto} at most)`,
);
