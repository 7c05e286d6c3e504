import { guestNetwork } from "../../src/vmm/passt/guest_network.ts";

/** What answered a connection attempt: a listener, a refusal, or nothing yet. */
export type TcpAnswer = "open" | "refused";

/** Where a frame with TCP comes from. */
export interface TcpReply {
  readonly fromAddress: string;
  readonly fromPort: number;
  readonly answer: TcpAnswer;
}

/**
 * The guest's side of passt's socket, without a VM: Ethernet frames, each behind its length (32 bits,
 * network order). It can send what no honest guest would.
 */
export class PasstPeer {
  readonly #connection: Deno.Conn;
  readonly #replies: TcpReply[] = [];
  readonly #reading: Promise<void>;

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
    this.#reading = this.#read();
  }

  /** Tries for a while: a socket is there a moment before somebody listens on it. */
  static async connect(socketPath: string): Promise<PasstPeer> {
    for (let tries = 0;; tries++) {
      try {
        return new PasstPeer(await Deno.connect({ transport: "unix", path: socketPath }));
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused) || tries === 100) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Asks for a connection to `address`:`port`; answers come through {@linkcode replies}. */
  async sendSyn(address: string, port: number, fromPort = 10_000 + port % 50_000): Promise<void> {
    await this.#send(synFrame(address, port, fromPort));
  }

  /** What has been answered so far. */
  get replies(): readonly TcpReply[] {
    return this.#replies;
  }

  async close(): Promise<void> {
    this.#connection.close();
    await this.#reading;
  }

  async #send(frame: Uint8Array): Promise<void> {
    const packet = new Uint8Array(4 + frame.length);
    new DataView(packet.buffer).setUint32(0, frame.length);
    packet.set(frame, 4);
    let at = 0;
    while (at < packet.length) at += await this.#connection.write(packet.subarray(at));
  }

  async #read(): Promise<void> {
    let pending = new Uint8Array(0);
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const count = await this.#connection.read(buffer).catch(() => null);
      if (count === null) return;
      const joined = new Uint8Array(pending.length + count);
      joined.set(pending);
      joined.set(buffer.subarray(0, count), pending.length);
      pending = joined;
      while (pending.length >= 4) {
        const length = new DataView(pending.buffer, pending.byteOffset).getUint32(0);
        if (pending.length < 4 + length) break;
        this.#take(pending.subarray(4, 4 + length));
        pending = pending.slice(4 + length);
      }
    }
  }

  #take(frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    if (frame.length < 54) return;
    if (view.getUint16(12) === arpType && view.getUint16(20) === 1) return this.#answerArp(frame);
    if (view.getUint16(12) !== ipv4Type || frame[23] !== tcpProtocol) return;
    const tcp = 14 + ((frame[14] ?? 0) & 15) * 4;
    const flags = frame[tcp + 13] ?? 0;
    const answer = (flags & 0x04) !== 0 ? "refused" : (flags & 0x12) === 0x12 ? "open" : undefined;
    if (answer === undefined) return;
    this.#replies.push({
      fromAddress: [...frame.subarray(26, 30)].join("."),
      fromPort: view.getUint16(tcp),
      answer,
    });
  }

  #answerArp(request: Uint8Array): void {
    const reply = request.slice();
    reply.set(request.subarray(6, 12), 0);
    reply.set(guestMac, 6);
    reply[21] = 2;
    reply.set(guestMac, 22);
    reply.set(request.subarray(38, 42), 28);
    reply.set(request.subarray(22, 32), 32);
    this.#send(reply).catch(() => {});
  }
}

const arpType = 0x0806;
const ipv4Type = 0x0800;
const tcpProtocol = 6;
const guestMac = [0x02, 0, 0, 0, 0, 1];

function synFrame(address: string, port: number, fromPort: number): Uint8Array {
  const frame = new Uint8Array(14 + 20 + 20);
  const view = new DataView(frame.buffer);
  frame.set(guestNetwork.gatewayMac.split(":").map((octet) => parseInt(octet, 16)), 0);
  frame.set(guestMac, 6);
  view.setUint16(12, ipv4Type);
  view.setUint8(14, 0x45);
  view.setUint16(16, 40);
  view.setUint16(20, 0x4000);
  view.setUint8(22, 64);
  view.setUint8(23, tcpProtocol);
  frame.set(octets(guestNetwork.address), 26);
  frame.set(octets(address), 30);
  view.setUint16(24, checksum(frame.subarray(14, 34)));
  view.setUint16(34, fromPort);
  view.setUint16(36, port);
  view.setUint32(38, 1);
  view.setUint8(46, 5 << 4);
  view.setUint8(47, 0x02);
  view.setUint16(48, 64_240);
  const pseudo = new Uint8Array(12 + 20);
  pseudo.set(frame.subarray(26, 34), 0);
  pseudo.set([0, tcpProtocol, 0, 20], 8);
  pseudo.set(frame.subarray(34), 12);
  view.setUint16(50, checksum(pseudo));
  return frame;
}

function octets(address: string): number[] {
  return address.split(".").map(Number);
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
