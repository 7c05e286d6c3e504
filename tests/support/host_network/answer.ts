/** Listens where the arguments say (`tcp ADDRESS PORT`, …) and answers every client with that client's address. */
const words = Deno.args;
for (let at = 0; at < words.length; at += 3) {
  const [transport, hostname, port] = [words[at]!, words[at + 1]!, Number(words[at + 2])];
  if (transport === "udp") void answerDatagrams(hostname, port);
  else void answerConnections(hostname, port);
}
Deno.stdout.writeSync(new TextEncoder().encode("up\n"));

async function answerConnections(hostname: string, port: number): Promise<void> {
  for await (const connection of Deno.listen({ hostname, port })) {
    const text = `${connection.remoteAddr.hostname}\n`;
    connection.write(new TextEncoder().encode(text)).catch(() => {}).finally(() => {
      connection.close();
    });
  }
}

async function answerDatagrams(hostname: string, port: number): Promise<void> {
  const socket = Deno.listenDatagram({ hostname, port, transport: "udp" });
  for await (const [, from] of socket) {
    const { hostname: client } = from as Deno.NetAddr;
    await socket.send(new TextEncoder().encode(`${client}\n`), from);
  }
}
