/**
 * Builds a golden image from the Debian archive, as `banger image pull` does, into a file:
 * `scripts/make-golden-image.sh` calls this.
 *
 * usage: golden_image.ts NAME OUT [MIRROR]
 */
import { findMirror } from "../../src/debian/find_mirror.ts";
import { buildDebianImage } from "../../src/images/debian_image.ts";
import { makeStaging, removeStaging } from "../../src/images/staging.ts";
import { BangerError, isBangerError, reasonOf } from "../../src/model/errors.ts";
import { goldenRecipes } from "./golden_tree.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`make-golden-image: ${line}\n`));
}

async function build(name: string, out: string, configured: string | undefined): Promise<void> {
  const recipe = goldenRecipes.find((each) => each.name === name);
  if (recipe === undefined) {
    const known = goldenRecipes.map((each) => each.name).join(", ");
    throw new BangerError("not_found", `Cannot build "${name}": the recipes are ${known}`);
  }
  const uid = Deno.uid() ?? -1;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  // Beside what is made, so that it gets there by one rename.
  const parent = out.includes("/") ? out.slice(0, out.lastIndexOf("/")) || "/" : ".";
  const stagingDir = await makeStaging(await Deno.realPath(parent), ".golden");
  try {
    const built = await buildDebianImage({
      ...{ recipe, uid, stagingDir, keyring, proxyEnv: {}, uuid: crypto.randomUUID() },
      mirror: await findMirror({ suite: recipe.suite, configured }),
      reporter: {
        notice: say,
        stage: (stage, body) => {
          say(stage.title);
          return body(() => {});
        },
      },
      signal: stop.signal,
    });
    await Deno.rename(built.rootfsPath, out);
  } finally {
    await removeStaging(stagingDir, uid);
  }
}

if (import.meta.main) {
  const [name = "", out = "", mirror] = Deno.args;
  try {
    await build(name, out, mirror);
    Deno.exit(0);
  } catch (error) {
    say(reasonOf(error));
    if (isBangerError(error) && error.detail !== undefined) say(error.detail);
    Deno.exit(1);
  }
}
