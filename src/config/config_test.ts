import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "../model/errors.ts";
import { closestWord } from "./closest_word.ts";
import { defaultConfig } from "./config.ts";
import { loadConfig } from "./load_config.ts";
import { parseConfig } from "./parse_config.ts";
import { parseSize } from "./parse_size.ts";

const file = "/c/config.toml";

function refused(text: string): { readonly message: string; readonly hint: string | undefined } {
  try {
    parseConfig(text, file, 4);
  } catch (error) {
    assert.ok(isBangerError(error, "invalid"), String(error));
    return error;
  }
  throw new assert.AssertionError({ message: `accepted: ${text}` });
}

Deno.test("an empty or missing file gives the defaults", async () => {
  assert.deepEqual(parseConfig("", file, 4), defaultConfig(4));
  const missing = await loadConfig("/nonexistent/config.toml", 1);
  assert.deepEqual(missing, defaultConfig(1));
  assert.equal(defaultConfig(1).vmDefaults.cpus, 1);
  for (const config of [missing, parseConfig("", file, 4)]) {
    assert.ok(Object.isFrozen(config) && Object.isFrozen(config.vmDefaults));
  }
});

Deno.test("every key is taken over", () => {
  const config = parseConfig(
    `default_image_name = "mine"
default_kernel_name = "k-1"
vmm = "qemu"
qemu_bin = "/opt/qemu"
ssh_key_path = "/k"
boot_timeout = "2m"
stats_poll_interval = "off"
auto_stop_stale_after = "2h"
[catalog]
debian_mirror = "http://mirror.test/debian/"
url = "https://catalog.test/catalog.json"
fingerprints = ["0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567"]
keyring = "/keys.asc"
[vm_defaults]
cpus = 3
memory = "1.5G"
disk = 20480
work_disk = "none"
`,
    file,
    4,
  );
  assert.deepEqual(config, {
    defaultImageName: "mine",
    defaultKernelName: "k-1",
    vmm: "qemu",
    qemuBin: "/opt/qemu",
    sshKeyPath: "/k",
    bootTimeoutMs: 120_000,
    statsPollIntervalMs: null,
    autoStopStaleAfterMs: 7_200_000,
    vmDefaults: { cpus: 3, memoryMib: 1536, diskBytes: 20 * 1024 ** 3, workDiskBytes: 0 },
    catalog: {
      debianMirror: "http://mirror.test/debian",
      url: "https://catalog.test/catalog.json",
      fingerprints: ["0123456789ABCDEF0123456789ABCDEF01234567"],
      keyring: "/keys.asc",
    },
  });
});

Deno.test("errors point at line and column", () => {
  const cases: readonly (readonly [string, string])[] = [
    ['vmm = "auto"\nvmm = [\n', "2:"],
    ['\n  vmn = "auto"\n', "2:3"],
    ["[vm_defaults]\ncpus = 0\n", "2:1"],
    ["[vm_defaults]\ncpus = 10000\n", "2:1"],
    ['vm_defaults = { memory = "1M" }\n', "1:1"],
    ["vm_defaults.disk = true\n", "1:1"],
    ['# x\n[catalog]\ndebian_mirror = "ftp://x"\n', "3:1"],
    ["[catalogue]\na = 1\n", "1:1"],
    ['[catalog]\nurl = "http://catalog.test/c.json"\n', "2:1"],
    ['[catalog]\nurl = "https://me:secret@catalog.test/c.json"\n', "2:1"],
    ['[catalog]\nurl = "catalog.json"\n', "2:1"],
    ['[catalog]\nfingerprints = "0123456789ABCDEF0123456789ABCDEF01234567"\n', "2:1"],
    ['[catalog]\nfingerprints = ["89ABCDEF01234567"]\n', "2:1"],
    ["[catalog]\nfingerprints = [1]\n", "2:1"],
    ['[catalog]\nkeyring = "keys.asc"\n', "2:1"],
    ['default_image_name = "../x"\n', "1:1"],
    ['qemu_bin = "qemu"\n', "1:1"],
    ['boot_timeout = "0s"\n', "1:1"],
    ['boot_timeout = "soon"\n', "1:1"],
    ['stats_poll_interval = "10"\n', "1:1"],
    ['auto_stop_stale_after = "1s"\n', "1:1"],
  ];
  for (const [text, place] of cases) {
    assert.ok(refused(text).message.includes(`${file}:${place}`), refused(text).message);
  }
});

Deno.test("a catalog is https, of this machine, or a file", () => {
  const places = ["https://c.test/c", "http://127.0.0.1:8/c", "http://[::1]/c", "/srv/c.json"];
  for (const url of [...places, "http://localhost/c"]) {
    assert.equal(parseConfig(`catalog.url = "${url}"`, file, 4).catalog.url, url);
  }
});

Deno.test("mistyped keys get a suggestion", () => {
  assert.match(refused('defualt_image_name = "a"').hint ?? "", /default_image_name/);
  assert.match(refused("[vm_defaults]\nmemroy = 1").hint ?? "", /vm_defaults\.memory/);
  assert.match(refused("cpus = 2").hint ?? "", /vm_defaults\.cpus/);
  assert.match(refused("zzzzzz = 1").hint ?? "", /config show/);
  assert.match(refused("__proto__ = 1").message, /there is no key/);
  assert.equal(closestWord("strat", ["stop", "start"]), "start");
});

Deno.test("a file that cannot be read is named", async () => {
  await assert.rejects(loadConfig("/", 1), (e) => isBangerError(e, "precondition"));
});

Deno.test("a file that exists is read and checked", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "[vm_defaults]\ncpus = 3\n");
    assert.equal((await loadConfig(path, 1)).vmDefaults.cpus, 3);
    await Deno.writeTextFile(path, "cpsu = 3\n");
    await assert.rejects(loadConfig(path, 1), (e) => isBangerError(e, "invalid"));
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("sizes", () => {
  assert.equal(parseSize("512M"), 512 * 1024 ** 2);
  assert.equal(parseSize("2g"), 2 * 1024 ** 3);
  assert.equal(parseSize(" 1.5 GiB "), 1.5 * 1024 ** 3);
  assert.equal(parseSize(2048), 2 * 1024 ** 3);
  assert.equal(parseSize("1T"), 1024 ** 4);
  for (const bad of ["", "x", "-1", "1e9", "G", "1P", "0x10", "1.1.1G", NaN, -5, "999999999999T"]) {
    assert.throws(() => parseSize(bad), (e) => isBangerError(e, "invalid"), String(bad));
  }
});

Deno.test("whatever the file holds, it is a Config or a refusal with a place", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 80 }), (text) => {
    try {
      parseConfig(text, file, 2);
    } catch (error) {
      assert.ok(isBangerError(error, "invalid"));
      assert.match(error.message, /config\.toml:\d+:\d+"/);
    }
  }));
});
