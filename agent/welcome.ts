import { commonVersion } from "../src/wire/handshake.ts";
import type { Hello, Welcome } from "../src/wire/messages.ts";
import { uptimeS } from "./health.ts";
import { agentVersion } from "./version.ts";

/** The answer to a good HELLO; version 0 when none is common. */
export function welcome(hello: Hello): Welcome {
  return {
    magic: "banger-link",
    nonce: hello.nonce,
    version: commonVersion(hello.versions),
    agentVersion,
    uptimeS: uptimeS(),
  };
}
