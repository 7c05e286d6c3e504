/**
 * What a guest says on the stream of `watch_ports`, at its start and at every change: the TCP ports that
 * somebody listens on in it, ascending. Of more than {@linkcode maxWatchedPorts} it names the lowest.
 */
export interface ListenersControl {
  readonly control: "listeners";
  readonly ports: readonly number[];
}

/** Most ports in one message. */
export const maxWatchedPorts = 256;

/** Reads such a message; `null` for any other and for a wrong shape. */
export function listenersControl(value: unknown): ListenersControl | null {
  if (typeof value !== "object" || value === null) return null;
  const { control, ports } = value as Record<string, unknown>;
  if (control !== "listeners" || !Array.isArray(ports) || ports.length > maxWatchedPorts) {
    return null;
  }
  return ports.every(isPort) ? { control, ports } : null;
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value < 65_536;
}
