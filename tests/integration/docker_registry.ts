import { LoopbackPorts } from "../../src/net/loopback_port.ts";
import { findProgram } from "../../src/process/find_program.ts";
import { run } from "../../src/process/run.ts";

/** How the registry lets in whom; everyone when left out. */
export type RegistryAuth =
  | { readonly kind: "htpasswd"; readonly file: string }
  | {
    readonly kind: "token";
    readonly realm: string;
    readonly service: string;
    readonly issuer: string;
    /** PEM certificates of those who sign tokens. */
    readonly certificates: string;
  };

const readyLimitMs = 20_000;
const unpackedDir = new URL("../../.tools/docker-registry", import.meta.url).pathname;

/**
 * The path of the program, which is unpacked from Debian's package where that is not installed: the
 * package would start a service that listens on every address. `undefined` when it cannot be had.
 */
export async function registryProgram(): Promise<string | undefined> {
  const unpacked = `${unpackedDir}/usr/bin/docker-registry`;
  for (const name of ["docker-registry", unpacked]) {
    const path = await findProgram(name);
    if (path !== undefined) return path;
  }
  const work = await Deno.makeTempDir({ prefix: "banger-registry-deb-" });
  try {
    await Deno.chmod(work, 0o755);
    await run("apt-get", ["download", "docker-registry"], { cwd: work, timeoutMs: 120_000 });
    const [deb] = await Array.fromAsync(Deno.readDir(work));
    await run("dpkg-deb", ["--extract", `${work}/${deb?.name}`, unpackedDir], {
      timeoutMs: 60_000,
    });
    return await findProgram(unpacked);
  } catch {
    return undefined;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Debian's docker-registry on loopback, with its content in `dir`. */
export class DockerRegistry implements AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly domain: string;
  readonly #child: Deno.ChildProcess;

  private constructor(domain: string, child: Deno.ChildProcess) {
    this.domain = domain;
    this.#child = child;
  }

  /** Starts it and waits until it answers. */
  static async start(dir: string, auth?: RegistryAuth): Promise<DockerRegistry> {
    const program = await registryProgram() ?? "docker-registry";
    const domain = `127.0.0.1:${new LoopbackPorts().reserve()}`;
    const config = `${dir}/config-${crypto.randomUUID()}.json`;
    await Deno.writeTextFile(config, JSON.stringify(configOf(domain, dir, auth)));
    const child = new Deno.Command(program, {
      args: ["serve", config],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", HOME: dir },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const registry = new DockerRegistry(domain, child);
    const deadlineMs = performance.now() + readyLimitMs;
    while (!await registry.#answers()) {
      if (performance.now() > deadlineMs) {
        await registry[Symbol.asyncDispose]();
        throw new Error("docker-registry did not start");
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return registry;
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(`http://${this.domain}/v2/`);
      await response.body?.cancel();
      return true;
    } catch {
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
  }
}

/** Its configuration; JSON is YAML. */
function configOf(domain: string, dir: string, auth: RegistryAuth | undefined) {
  const common = {
    version: "0.1",
    log: { level: "error" },
    http: { addr: domain },
    storage: { filesystem: { rootdirectory: `${dir}/registry` } },
  };
  switch (auth?.kind) {
    case "htpasswd":
      return { ...common, auth: { htpasswd: { realm: "test", path: auth.file } } };
    case "token":
      return {
        ...common,
        auth: {
          token: {
            realm: auth.realm,
            service: auth.service,
            issuer: auth.issuer,
            rootcertbundle: auth.certificates,
          },
        },
      };
    default:
      return common;
  }
}
