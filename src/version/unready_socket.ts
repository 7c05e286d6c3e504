/** The name of the net filter's socket until it takes connections: one byte longer, since sun_path is short. */
export function unreadySocket(socketPath: string): string {
  return `${socketPath}~`;
}
