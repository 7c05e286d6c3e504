import { buildInfo } from "../../version/build_info.ts";
import { defineCommand, flag } from "../command.ts";
import { jsonText } from "../render/json_text.ts";
import { versionLine } from "../version_line.ts";

/** `banger version` */
export const version = defineCommand({
  description: "",
  options: {
    json: flag("Print JSON"),
  },
  args: {},
  run: (context, { options }) => {
    context.out.write(options.json ? jsonText(buildInfo()) : versionLine());
    return Promise.resolve(0);
  },
});
