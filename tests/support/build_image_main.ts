/**
 * Builds the small image as whoever runs this, for tests of other users and of a killed daemon.
 * Arguments: staging directory, mirror, keyring, and `disk` to keep the tree out of memory, or
 * `clean` to do what a daemon does at its start instead of a build.
 */
import { buildDebianImage } from "../../src/images/debian_image.ts";
import { cleanStaging } from "../../src/images/staging.ts";
import { smallRecipe } from "./small_recipe.ts";

const [stagingDir, mirror, keyring, where] = Deno.args as [string, string, string, string?];
const recipe = where === "disk" ? { ...smallRecipe, treeInMemoryFromMib: 1 << 30 } : smallRecipe;
const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
try {
  if (where === "clean") {
    await cleanStaging(stagingDir, Deno.uid() ?? -1);
    Deno.exit(0);
  }
  const built = await buildDebianImage({
    ...{
      recipe,
      mirror,
      keyring,
      stagingDir,
      proxyEnv: {},
      uuid: crypto.randomUUID(),
    },
    uid: Deno.uid() ?? -1,
    reporter: {
      notice: print,
      stage: (_, body) => body((_done, _total, _unit, note) => print(`note ${note}`)),
    },
    signal: new AbortController().signal,
  });
  print(`built ${built.rootfsPath}`);
} catch (error) {
  print(`failed ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
