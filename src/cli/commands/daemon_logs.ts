import { BangerError } from "../../model/errors.ts";
import { pathsInput } from "../../paths/environment.ts";
import { Paths } from "../../paths/paths.ts";
import { defineCommand, value, wholeNumber } from "../command.ts";
import { printable } from "../render/printable.ts";

const defaultKib = 64;

/** `banger daemon logs` */
export const daemonLogs = defineCommand({
  description: "Reads the log file itself, so it also works when the daemon does not.",
  options: {
    kib: value("KIB", `How much of the end (${defaultKib})`, wholeNumber("size", 1, 4096)),
  },
  args: {},
  run: async (context, { options }) => {
    const path = new Paths(pathsInput()).daemonLog;
    const text = await endOf(path, (options.kib ?? defaultKib) * 1024);
    context.out.write(printable(text, context.out.isTerminal));
    return 0;
  },
});

async function endOf(path: string, maxBytes: number): Promise<string> {
  try {
    using file = await Deno.open(path, { read: true });
    const { size } = await file.stat();
    await file.seek(Math.max(0, size - maxBytes), Deno.SeekMode.Start);
    const text = await new Response(file.readable).text();
    // The first line may be cut.
    return size > maxBytes ? text.slice(text.indexOf("\n") + 1) : text;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new BangerError("not_found", `Cannot read "${path}": there is no log yet`, {
      hint: "The daemon writes it when it first runs: banger vm list",
      cause,
    });
  }
}
