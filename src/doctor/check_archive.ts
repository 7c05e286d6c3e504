import type { CheckResult } from "./check.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** What pulls from the Debian archive need: the archive's keys, and a mirror. */
export async function checkArchive(configured: string | null): Promise<readonly CheckResult[]> {
  return [await checkKeyring(), await checkMirror(configured)];
}

async function checkKeyring(): Promise<CheckResult> {
  const there = await Deno.stat(keyring).then((info) => info.isFile && info.size > 0, () => false);
  return {
    id: "debian-keyring",
    status: there ? "ok" : "fail",
    found: there ? keyring : "the Debian archive's keys are not installed",
    neededFor: "verifying kernel and image",
    fix: there ? null : "apt install debian-archive-keyring",
  };
}

async function checkMirror(configured: string | null): Promise<CheckResult> {
  const id = "debian-mirror";
  const neededFor = "pulling kernel and image";
  const mirror = configured ?? await aptMirror();
  if (mirror !== undefined) {
    const where = configured === null ? "from apt's configuration" : "from the configuration";
    return {
      id,
      status: "ok",
      found: `${withoutCredentials(mirror)} (${where})`,
      neededFor,
      fix: null,
    };
  }
  return {
    id,
    status: "warn",
    found: "no Debian mirror is known",
    neededFor,
    fix: "Set debian_mirror in [catalog] of the file that banger config path names",
  };
}

/** The first archive in apt's configuration, one-line or deb822 form (sources.list(5)). */
async function aptMirror(): Promise<string | undefined> {
  const files = ["/etc/apt/sources.list"];
  try {
    for await (const entry of Deno.readDir("/etc/apt/sources.list.d")) {
      if (/\.(list|sources)$/.test(entry.name)) files.push(`/etc/apt/sources.list.d/${entry.name}`);
    }
  } catch {
    // No apt here.
  }
  for (const file of files) {
    const text = await Deno.readTextFile(file).catch(() => "");
    const found = /^(?:deb\s+(?:\[[^\]]*\]\s+)?|URIs:\s*)(https?:\/\/\S+)/m.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}

function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//");
}
