import { pathsInput } from "../../paths/environment.ts";
import { Paths } from "../../paths/paths.ts";
import { defineCommand } from "../command.ts";

/** `banger config path` */
export const configPath = defineCommand({
  description: "The file need not exist: every key has a default.",
  options: {},
  args: {},
  run: (context) => {
    context.out.write(`${new Paths(pathsInput()).configFile}\n`);
    return Promise.resolve(0);
  },
});
