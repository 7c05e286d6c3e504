import { loadConfig } from "../../config/load_config.ts";
import { pathsInput } from "../../paths/environment.ts";
import { Paths } from "../../paths/paths.ts";
import { defineCommand, flag } from "../command.ts";
import { jsonText } from "../render/json_text.ts";
import { fields } from "../render/table.ts";

/** `banger config show` */
export const configShow = defineCommand({
  description: 'Defaults are filled in. "-" stands for what banger decides by itself.',
  options: {
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const { configFile } = new Paths(pathsInput());
    const config = await loadConfig(configFile, navigator.hardwareConcurrency);
    if (options.json) {
      context.out.write(jsonText({ path: configFile, config }));
      return 0;
    }
    context.out.write(fields([["file", configFile], ...flat("", config)]));
    return 0;
  },
});

/** Keys as they stand in the file: `vm_defaults.memory_mib`. */
function flat(prefix: string, table: object): [string, string][] {
  return Object.entries(table).flatMap(([key, value]): [string, string][] => {
    const name = prefix + key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (Array.isArray(value)) return [[name, value.length === 0 ? "-" : value.join(" ")]];
    if (typeof value === "object" && value !== null) return flat(`${name}.`, value);
    return [[name, value === null ? "-" : String(value)]];
  });
}
