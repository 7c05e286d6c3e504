import assert from "node:assert/strict";
import { daemonEnvironment } from "./daemon_environment.ts";

Deno.test("the daemon gets paths, proxies and banger's own variables, nothing else", () => {
  const kept = {
    HOME: "/h",
    XDG_RUNTIME_DIR: "/run/user/7",
    https_proxy: "http://proxy.test",
    NODE_EXTRA_CA_CERTS: "/ca.pem",
    BANGER_X: "1",
  };
  const left = {
    LD_PRELOAD: "/x.so",
    AWS_SECRET_ACCESS_KEY: "s",
    DENO_V8_FLAGS: "--x",
    A: undefined,
  };
  assert.deepEqual(daemonEnvironment({ ...kept, ...left }), kept);
});
