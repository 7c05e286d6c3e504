import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "./errors.ts";
import { parseWantedPort, type WantedPort, wantedPortText } from "./published_port.ts";

Deno.test("a port is GUEST or HOST:GUEST, as Docker's users write it", () => {
  const given: Record<string, WantedPort> = {
    "80": { hostPort: null, guestPort: 80 },
    "8080:80": { hostPort: 8080, guestPort: 80 },
    "0:80": { hostPort: null, guestPort: 80 },
    "127.0.0.1:8080:80": { hostPort: 8080, guestPort: 80 },
    "127.0.0.1::80": { hostPort: null, guestPort: 80 },
    "8080:80/tcp": { hostPort: 8080, guestPort: 80 },
    "65535:1": { hostPort: 65_535, guestPort: 1 },
  };
  for (const [text, wanted] of Object.entries(given)) {
    assert.deepEqual(parseWantedPort(text), wanted, text);
  }
});

Deno.test("what is none is refused with its reason", () => {
  const refused: Record<string, RegExp> = {
    "": /not of the form/,
    ":": /not of the form/,
    ":80": /"" is no port/,
    "80:": /not of the form/,
    "1:2:3:4": /not of the form/,
    "http": /"http" is no port/,
    "0": /"0" is no port/,
    "80:0": /"0" is no port/,
    "65536": /no port from 1 to 65535/,
    "080": /no port/,
    "+80": /no port/,
    " 80": /no port/,
    "80 ": /no port/,
    "-1:80": /no port/,
    "8e1": /no port/,
    "8080:80/udp": /only TCP/,
    "53/udp": /only TCP/,
    "80/": /only TCP/,
    "80/TCP": /only TCP/,
    "8000-8010": /a range/,
    "8000-8010:80-90": /a range/,
    "0.0.0.0:8080:80": /on 127\.0\.0\.1 only/,
    "192.168.1.5:8080:80": /on 127\.0\.0\.1 only/,
    "localhost:8080:80": /on 127\.0\.0\.1 only/,
    "[::1]:8080:80": /on 127\.0\.0\.1 only/,
    "[::]::80": /on 127\.0\.0\.1 only/,
    ":8080:80": /on 127\.0\.0\.1 only/,
    "127.0.0.1:80": /"127\.0\.0\.1" is no port/,
    [`${"9".repeat(500)}`]: /no port/,
  };
  for (const [text, words] of Object.entries(refused)) {
    assert.throws(() => parseWantedPort(text), (error) => {
      assert.ok(isBangerError(error, "invalid") && error.hint !== undefined, text);
      assert.match(error.message, words);
      assert.ok(error.message.length < 250);
      return true;
    });
  }
});

Deno.test("what is parsed is what was written, and other text is refused and nothing else", () => {
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(fc.option(port), port, (hostPort, guestPort) => {
      const wanted = { hostPort, guestPort };
      assert.deepEqual(parseWantedPort(wantedPortText(wanted)), wanted);
    }),
  );
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom(..."0123456789:[]./-tcpud"), maxLength: 24 }),
  );
  fc.assert(
    fc.property(text, (text) => {
      try {
        const { hostPort, guestPort } = parseWantedPort(text);
        assert.ok(guestPort >= 1 && guestPort <= 65_535);
        assert.ok(hostPort === null || (hostPort >= 1 && hostPort <= 65_535));
      } catch (error) {
        assert.ok(isBangerError(error, "invalid"));
      }
    }),
    { numRuns: 2000 },
  );
});
