import assert from "node:assert/strict";
import { skipUnless } from "../../tests/support/require.ts";
import { RegistryTransport } from "./registry_transport.ts";

function canListen(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

for (const [hostname, written] of [["127.0.0.1", "localhost"], ["::1", "[::1]"]] as const) {
  const name = `a registry at ${written} is reached`;
  Deno.test({
    name,
    ignore: skipUnless(name, canListen(hostname), `${hostname} is not there`),
    async fn() {
      const options = { hostname, port: 0, onListen: () => {} };
      const server = Deno.serve(options, () => new Response("here"));
      try {
        using transport = new RegistryTransport();
        const url = new URL(`http://${written}:${server.addr.port}/v2/`);
        assert.equal(await (await transport.fetch(url, {})).text(), "here");
      } finally {
        await server.shutdown();
      }
    },
  });
}
