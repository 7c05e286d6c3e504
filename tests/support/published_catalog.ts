import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type BundleSources, writeBundle } from "../../src/bundles/write_bundle.ts";
import type { CatalogKind } from "../../src/catalog/catalog.ts";
import { run } from "../../src/process/run.ts";
import { addEntry } from "../../scripts/publish/add_entry.ts";
import { type FileServer, type Pace, serveFiles } from "./file_server.ts";
import { GpgHome } from "./gpg_home.ts";

const root = new URL("../..", import.meta.url).pathname;

/** What is published unless a test says otherwise. */
export const catalogTime = 1_767_225_600;

/** A catalog that the project's scripts publish to, served on loopback, and two throw-away keys. */
export class PublishedCatalog implements AsyncDisposable {
  /** For files that are to be published. */
  readonly dir: string;
  /** What is served. */
  readonly served: string;
  readonly gpg: GpgHome;
  /** The pinned key. */
  readonly ours: string;
  /** A key that is in the keyring as well, but not pinned. */
  readonly other: string;
  readonly server: FileServer;
  readonly #undo: AsyncDisposableStack;

  private constructor(
    dir: string,
    gpg: GpgHome,
    keys: readonly [ours: string, other: string],
    server: FileServer,
    undo: AsyncDisposableStack,
  ) {
    this.dir = dir;
    this.served = `${dir}/served`;
    this.gpg = gpg;
    [this.ours, this.other] = keys;
    this.server = server;
    this.#undo = undo;
  }

  static async make(pace?: Pace): Promise<PublishedCatalog> {
    await using undo = new AsyncDisposableStack();
    const dir = await Deno.makeTempDir({ prefix: "banger-catalog-" });
    undo.defer(() => Deno.remove(dir, { recursive: true }));
    await Deno.mkdir(`${dir}/served`);
    const gpg = undo.use(await GpgHome.make());
    const ours = await gpg.makeKey("ours");
    const other = await gpg.makeKey("other");
    await Deno.writeFile(`${dir}/keyring`, await gpg.exportKeys(ours, other));
    const server = undo.use(serveFiles(`${dir}/served`, pace));
    return new PublishedCatalog(dir, gpg, [ours, other], server, undo.move());
  }

  /** A configuration that leads to it, by another address when one is given. */
  config(url = `${this.server.url}catalog.json`): string {
    return `[catalog]\nurl = "${url}"\nfingerprints = ["${this.ours}"]\n` +
      `keyring = "${this.dir}/keyring"\n`;
  }

  /** Publishes by one of the scripts, `publish-kernel.sh` or `publish-golden-image.sh`. */
  async publish(script: string, options: Readonly<Record<string, string | number>>): Promise<void> {
    const all = {
      catalog: this.served,
      key: this.ours,
      created: catalogTime,
      level: 1,
      ...options,
    };
    const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const { stdout } = await run(`${root}scripts/${script}`, args, {
      env: { ...this.gpg.env, HOME: this.gpg.path },
      timeoutMs: 300_000,
    });
    assert.match(new TextDecoder().decode(stdout), /^published /m);
  }

  /** Publishes files that the scripts would refuse: a bundle that is well signed all the same. */
  async publishRaw(
    { kind, name }: { readonly kind: CatalogKind; readonly name: string },
    files: BundleSources["files"],
  ): Promise<void> {
    const file = `${name}-raw.bundle`;
    const path = `${this.served}/${file}`;
    const { size, sha256 } = await writeBundle({
      metadata: {
        ...{ kind, name, arch: "x86_64", kitKey: null, createdAtMs: catalogTime * 1000 },
        kernel: { name, version: "6.1.0", commandLine: [] },
      },
      files,
    }, { path, level: 1, signal: new AbortController().signal });
    await Deno.writeFile(`${path}.asc`, await this.gpg.sign(path, this.ours));
    await addEntry(`${this.served}/catalog.json`, {
      ...{ kind, name, arch: "x86_64", url: file, sha256, size },
      ...{ signature: `${file}.asc`, signer: this.ours },
    });
  }

  /** Path of the bundle that the catalog names. */
  async bundle(kind: CatalogKind, name: string): Promise<string> {
    return `${this.served}/${(await this.#entry(kind, name))["url"]}`;
  }

  /** Changes an entry of the catalog, as whoever serves it can. */
  async change(
    kind: CatalogKind,
    name: string,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const path = `${this.served}/catalog.json`;
    const catalog = JSON.parse(await Deno.readTextFile(path));
    for (const entry of catalog.entries) {
      if (entry.kind === kind && entry.name === name) Object.assign(entry, fields);
    }
    await Deno.writeTextFile(path, JSON.stringify(catalog));
  }

  /** How often a bundle was asked for. */
  get bundlesAsked(): number {
    return this.server.requests.filter((name) => name.endsWith(".bundle")).length;
  }

  async #entry(kind: CatalogKind, name: string): Promise<Record<string, unknown>> {
    const { entries } = JSON.parse(await Deno.readTextFile(`${this.served}/catalog.json`));
    const found = entries.find((each: { kind: string; name: string }) =>
      each.kind === kind && each.name === name
    );
    assert.ok(found, `the catalog has ${kind} ${name}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }
}

/** SHA-256 in hexadecimal. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
