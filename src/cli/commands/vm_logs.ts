import { isBangerError } from "../../model/errors.ts";
import { defineCommand, flag, value, wholeNumber } from "../command.ts";
import type { CliContext } from "../context.ts";
import { interruptible } from "../interruptible.ts";
import { pause } from "../../sync/pause.ts";
import { printable } from "../render/printable.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

const defaultKib = 64;
/** How often a console that is followed is looked at, in milliseconds. */
const everyMs = 200;

/** `banger vm logs` */
export const vmLogs = defineCommand({
  description:
    "Control characters are escaped on a terminal; elsewhere the bytes are as the guest wrote them. " +
    "At most 4 MiB of the VM's last start are kept.",
  options: {
    kib: value("KIB", `How much of the end (${defaultKib})`, wholeNumber("size", 1, 4096)),
    follow: flag("Go on with what comes, until the VM ends or Ctrl-C", "f"),
  },
  args: { vm: vmArgument },
  run: async (context, { options, args }) => {
    const vm = vmReference(args.vm);
    const maxBytes = (options.kib ?? defaultKib) * 1024;
    const out = new ConsoleOutput(context);
    return await withDaemon(context, async (client) => {
      const first = await client.call("vm.logs", { vm, maxBytes, after: null });
      await out.write(first.console);
      if (!options.follow) {
        out.end();
        return 0;
      }
      try {
        await interruptible(context, async (signal) => {
          let { position, more } = first;
          while (more) {
            await pause(everyMs, signal);
            signal.throwIfAborted();
            const params = { vm, maxBytes: 4 * 1024 ** 2, after: position };
            const next = await client.call("vm.logs", params, signal);
            await out.write(next.console);
            ({ position, more } = next);
          }
        });
      } catch (error) {
        if (!isBangerError(error, "cancelled")) throw error;
      }
      out.end();
      return 0;
    });
  },
});

/** Writes a console's bytes as they are, or on a terminal as text that does it no harm. */
class ConsoleOutput {
  readonly #out: CliContext["out"];
  readonly #decoder = new TextDecoder();
  #isLineOpen = false;

  constructor({ out }: CliContext) {
    this.#out = out;
  }

  async write(base64: string): Promise<void> {
    const bytes = Uint8Array.fromBase64(base64);
    if (!this.#out.isTerminal) {
      await this.#out.writeBytes(bytes);
      return;
    }
    // Characters may be cut in two between parts. A lone carriage return ends no line.
    const text = this.#decoder.decode(bytes, { stream: true }).replaceAll("\r\n", "\n");
    if (text === "") return;
    this.#out.write(printable(text, true));
    this.#isLineOpen = !text.endsWith("\n");
  }

  end(): void {
    if (this.#isLineOpen) this.#out.write("\n");
  }
}
