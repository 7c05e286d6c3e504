import { userInfo } from "node:os";
import { loadConfig } from "../../config/load_config.ts";
import type { Config } from "../../config/config.ts";
import type { CheckResult, HostReport } from "../../doctor/check.ts";
import type { KnownAcceleration } from "../../doctor/check_kvm.ts";
import { examineHost } from "../../doctor/examine_host.ts";
import { isBangerError, reasonOf } from "../../model/errors.ts";
import { pathsInput } from "../../paths/environment.ts";
import { Paths } from "../../paths/paths.ts";
import { buildInfo } from "../../version/build_info.ts";
import { defineCommand, flag } from "../command.ts";
import type { CliContext } from "../context.ts";
import { exitCodes } from "../exit_code.ts";
import { interruptible } from "../interruptible.ts";
import { colours } from "../render/colours.ts";
import { jsonText } from "../render/json_text.ts";
import { printableLine } from "../render/printable.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger doctor` */
export const doctor = defineCommand({
  description: "Exits with 0 when a VM can run here and with 5 when something needed is missing.",
  options: {
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const report = await interruptible(context, (signal) => examine(context, signal));
    context.out.write(options.json ? jsonText(report) : reportText(context, report));
    return report.ready ? exitCodes.ok : exitCodes.precondition;
  },
});

async function examine(context: CliContext, signal: AbortSignal): Promise<HostReport> {
  const paths = new Paths(pathsInput());
  const [config, configCheck] = await configuration(paths);
  const [acceleration, daemonCheck] = await daemon(context);
  return await examineHost({
    paths,
    userName: userNameOf(paths.uid),
    qemuBin: config?.qemuBin ?? null,
    debianMirror: config?.catalog.debianMirror ?? null,
    ownChecks: [build(), configCheck, daemonCheck],
    acceleration,
    signal,
  });
}

function build(): CheckResult {
  const { version, commit, kind, denoVersion } = buildInfo();
  const found = `banger ${version} (${commit}), ${kind}, Deno ${denoVersion}`;
  return { id: "build", status: "ok", found, neededFor: "everything", fix: null };
}

async function configuration(paths: Paths): Promise<[Config | undefined, CheckResult]> {
  const id = "config";
  const neededFor = "everything";
  try {
    const config = await loadConfig(paths.configFile, navigator.hardwareConcurrency);
    return [config, { id, status: "ok", found: paths.configFile, neededFor, fix: null }];
  } catch (error) {
    const fix = isBangerError(error) ? error.hint ?? null : null;
    return [undefined, { id, status: "fail", found: reasonOf(error), neededFor, fix }];
  }
}

/** What a running daemon says; none is started for it. */
async function daemon(context: CliContext): Promise<[KnownAcceleration | null, CheckResult]> {
  const id = "daemon";
  const neededFor = "everything that has to do with VMs; it is started when it is needed";
  try {
    return await withDaemon(context, async (client) => {
      const { version, pid } = await client.call("daemon.status", {});
      const { acceleration } = await client.call("host.acceleration", {});
      const check = {
        id,
        status: "ok",
        found: `runs: version ${version}, pid ${pid}`,
        neededFor,
        fix: null,
      };
      return [acceleration, check as CheckResult];
    }, "never");
  } catch (error) {
    const absent = isBangerError(error, "unavailable");
    const found = absent ? "does not run now" : reasonOf(error);
    const fix = absent ? null : "banger daemon logs";
    return [null, { id, status: absent ? "ok" : "fail", found, neededFor, fix }];
  }
}

function reportText(context: CliContext, report: HostReport): string {
  const { green, yellow, red, dim, bold } = colours(context.out.colour);
  const marks = { ok: green("ok  "), warn: yellow("warn"), fail: red("FAIL") };
  const width = Math.max(...report.checks.map((check) => check.id.length));
  let text = "";
  for (const { id, status, found, neededFor, fix } of report.checks) {
    text += `${marks[status]} ${id.padEnd(width)}  ${
      printableLine(found, context.out.isTerminal)
    }\n`;
    if (status === "ok") continue;
    const indent = " ".repeat(width + 7);
    text += dim(`${indent}needed for: ${neededFor}`) + "\n";
    if (fix !== null) text += `${indent}fix: ${fix}\n`;
  }
  const verdict = report.ready
    ? "This host can run VMs in rootless mode."
    : "This host cannot run VMs yet: see FAIL above.";
  return `${text}\n${bold(verdict)}\nSystem mode is not in this version.\n`;
}

/** The name in the user database: `$USER` is another's after sudo, or missing. */
function userNameOf(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry has only a number.
    return String(uid);
  }
}
