import { defineCommand, value, wholeNumber } from "../command.ts";
import { printable } from "../render/printable.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

const defaultKib = 64;

/** `banger vm logs` */
export const vmLogs = defineCommand({
  description:
    "Control characters are escaped on a terminal; elsewhere the bytes are as the guest wrote them.",
  options: {
    kib: value("KIB", `How much of the end (${defaultKib})`, wholeNumber("size", 1, 4096)),
  },
  args: { vm: vmArgument },
  run: async (context, { options, args }) => {
    const vm = vmReference(args.vm);
    const maxBytes = (options.kib ?? defaultKib) * 1024;
    const logs = await withDaemon(context, (client) => client.call("vm.logs", { vm, maxBytes }));
    const bytes = Uint8Array.fromBase64(logs.console);
    if (!context.out.isTerminal) {
      await context.out.writeBytes(bytes);
      return 0;
    }
    const text = new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
    context.out.write(printable(text, true));
    if (text !== "" && !text.endsWith("\n")) context.out.write("\n");
    return 0;
  },
});
