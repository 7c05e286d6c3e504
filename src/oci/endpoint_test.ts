import assert from "node:assert/strict";
import { defaultDomain } from "../model/image_reference.ts";
import { endpointOf, mayReach } from "./endpoint.ts";
import { isSameOwner, parseRealm } from "./realm.ts";

Deno.test("only this computer is spoken to without TLS", () => {
  const plain = ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"];
  for (const domain of plain) assert.match(endpointOf(domain).origin, /^http:/, domain);
  const secure = [
    "docker.io",
    "example.com:80",
    "127.0.0.1.example.com",
    "localhost.example.com",
    "127.1",
    "127.0.0.256",
    "128.0.0.1",
    "10.0.0.1",
    "[::2]",
    "0.0.0.0:5000",
    "host:5000",
  ];
  for (const domain of secure) {
    // The URL parser refuses what looks like an address and is none.
    if (!URL.canParse(`https://${domain}`)) continue;
    assert.match(endpointOf(domain).origin, /^https:/, domain);
  }
  assert.equal(endpointOf("docker.io").origin, `https://${["registry-1", "docker.io"].join(".")}`);
});

Deno.test("http, user names in URLs and other schemes are no way on for a remote registry", () => {
  const remote = endpointOf("r.example.com");
  const local = endpointOf("localhost:5000");
  assert.equal(mayReach(remote, new URL("https://cdn.example.net/x")), true);
  for (
    const url of [
      "http://r.example.com/x",
      "http://127.0.0.1:1/x",
      "https://user@r.example.com/",
      "file:///etc/passwd",
      "data:,x",
      "blob:https://r.example.com/x",
    ]
  ) assert.equal(mayReach(remote, new URL(url)), false, url);
  assert.equal(mayReach(local, new URL("http://127.0.0.1:1/x")), true);
  assert.equal(mayReach(local, new URL("http://10.0.0.1/x")), false);
});

Deno.test("credentials go to token servers of the same owner only", () => {
  const cases: [string, string, boolean][] = [
    [defaultDomain, `https://auth.${defaultDomain}/token`, true],
    ["registry.example.com", "https://registry.example.com/token", true],
    ["registry.example.com", "https://registry.example.com:8443/token", true],
    ["registry.example.com", "https://example.com/jwt/auth", true],
    ["registry.example.com", "https://auth.example.net/token", false],
    ["registry.example.com", "https://example.com.evil.net/token", false],
    ["registry.example.com", "https://evilexample.com/token", false],
    ["a.co.uk", "https://b.co.uk/token", false],
    ["x.a.co.uk", "https://auth.a.co.uk/token", true],
    ["10.1.2.3", "https://10.9.2.3/token", false],
    ["host", "https://host/token", true],
    ["host", "https://other/token", false],
    ["r.example.com", "https://127.0.0.1/token", false],
    ["127.0.0.1:5000", "http://127.0.0.1:5000/token", true],
    ["127.0.0.1:5000", "http://127.0.0.1:5001/token", false],
    ["127.0.0.1:5000", "https://auth.example.com/token", false],
  ];
  for (const [domain, realm, expected] of cases) {
    const url = parseRealm(endpointOf(domain), realm);
    assert.ok(url !== undefined, realm);
    assert.equal(isSameOwner(endpointOf(domain), url), expected, `${domain} ${realm}`);
  }
  for (const realm of [undefined, "", "/token", "http://auth.example.com/", "http://127.0.0.1/"]) {
    assert.equal(parseRealm(endpointOf("r.example.com"), realm), undefined);
  }
});
