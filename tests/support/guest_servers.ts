/**
 * TCP servers of a test's guest, in the image's Python: on port 7 what sends everything back, on 9 what counts
 * what comes and says it at the end, on 19 what sends {@linkcode sourceMib} MiB, on 4242 what resets.
 */
import type { Banger } from "./banger.ts";

/** What port 19 sends. */
export const sourceMib = 100;

const script = `
import socket, struct, threading
def echo(c):
    while (b := c.recv(65536)): c.sendall(b)
def sink(c):
    n = 0
    while (b := c.recv(1 << 20)): n += len(b)
    c.sendall(str(n).encode())
def source(c):
    for n in range(${sourceMib}): c.sendall(bytes([n]) * (1 << 20))
def reset(c):
    c.sendall(b"part"); c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
def run(handler, c):
    try: handler(c)
    except OSError as error: print(error.errno, flush=True)
    c.close()
def serve(s, handler):
    while True: threading.Thread(target=run, args=(handler, s.accept()[0]), daemon=True).start()
for port, handler in (7, echo), (9, sink), (19, source), (4242, reset):
    s = socket.create_server(("127.0.0.1", port), backlog=200)
    threading.Thread(target=serve, args=(s, handler)).start()
print("ready", flush=True)
`;

/** Starts them, on the guest's loopback only, and waits until they listen. */
export async function startGuestServers(banger: Banger, vm: string): Promise<void> {
  const words = "cat >/root/servers.py; setsid python3 /root/servers.py >/root/servers.log 2>&1 " +
    "</dev/null & for i in $(seq 200); do grep -q ready /root/servers.log && exit; sleep 0.1; done; exit 1";
  await banger.ok(["vm", "exec", vm, "--", "sh", "-c", words.replace("; setsid", "\nsetsid")], {
    stdin: script,
  });
}
