import type {
  AgentRequest,
  ExecRequest,
  Identity,
  ImageDefaults,
  WorkspacePlace,
} from "../src/wire/messages.ts";
import { Failure } from "./failure.ts";

type Fields = Record<string, unknown>;

/**
 * The request in an OPEN frame.
 *
 * @throws Failure `invalid`
 */
export function checkRequest(value: unknown): AgentRequest {
  const request = fields(value, "request");
  switch (request["method"]) {
    case "health":
    case "ports":
    case "stats":
    case "watch_ports":
      return { method: request["method"] };
    case "forward":
      return { method: "forward", port: checkPort(request["port"]) };
    case "exec":
      return { method: "exec", exec: checkExec(fields(request["exec"], "exec")) };
    case "session":
      return {
        method: "session",
        id: matching(request["id"], /^[0-9a-f]{32}$/, "id"),
        exec: checkExec(fields(request["exec"], "exec")),
      };
    case "identity":
      return {
        method: "identity",
        identity: checkIdentity(fields(request["identity"], "identity")),
      };
    case "shutdown":
      if (request["how"] !== "poweroff" && request["how"] !== "reboot") throw invalid("how");
      return { method: "shutdown", how: request["how"] };
    default:
      throw invalid("method");
  }
}

function checkExec(exec: Fields): ExecRequest {
  const { workspace, image } = exec;
  return {
    argv: checkArgv(exec["argv"]),
    cwd: checkPath(exec["cwd"]),
    env: checkEnv(fields(exec["env"], "env")),
    user: exec["user"] === null ? null : string(exec["user"], "user"),
    stdin: exec["stdin"] === true,
    workspace: isNone(workspace) ? null : checkWorkspace(fields(workspace, "workspace")),
    image: isNone(image) ? null : checkImage(fields(image, "image")),
  };
}

function checkWorkspace(workspace: Fields): WorkspacePlace {
  const name = matching(workspace["name"], /^[^/\0]+$/, "workspace");
  if (name === "." || name === "..") throw invalid("workspace");
  const owner = workspace["owner"];
  return {
    name,
    owner: owner === null ? null : string(owner, "workspace"),
    isNew: workspace["isNew"] === true,
  };
}

function checkImage(image: Fields): ImageDefaults {
  return {
    env: checkEnv(fields(image["env"], "env")),
    cwd: checkPath(image["cwd"]),
    user: image["user"] === null ? null : string(image["user"], "user"),
    argv: checkArgv(image["argv"]),
  };
}

/** May be empty, but its first word may not. */
function checkArgv(value: unknown): string[] {
  const argv = strings(value, "argv");
  if (argv[0] === "") throw invalid("argv");
  return argv.map((word) => noNul(word, "argv"));
}

function checkPort(value: unknown): number {
  const isPort = typeof value === "number" && Number.isInteger(value) && value > 0 &&
    value < 65_536;
  if (!isPort) throw invalid("port");
  return value;
}

function checkPath(value: unknown): string | null {
  return value === null ? null : noNul(string(value, "cwd"), "cwd");
}

function isNone(value: unknown): boolean {
  return value === null || value === undefined;
}

function checkEnv(env: Fields): Record<string, string> {
  for (const [name, value] of Object.entries(env)) {
    noNul(string(value, "env"), "env");
    if (name === "" || /[=\0]/.test(name)) throw invalid("env");
  }
  return env as Record<string, string>;
}

function checkIdentity(identity: Fields): Identity {
  const hostKey = fields(identity["hostKey"], "hostKey");
  const git = identity["git"] === null ? null : fields(identity["git"], "git");
  const network = identity["network"] === null ? null : fields(identity["network"], "network");
  const clockMs = identity["clockMs"];
  if (typeof clockMs !== "number" || !Number.isFinite(clockMs)) throw invalid("clockMs");
  return {
    stamp: matching(identity["stamp"], /^[0-9a-f]{32}$/, "stamp"),
    hostname: matching(identity["hostname"], /^[a-z0-9]([a-z0-9-]{0,62})$/, "hostname"),
    machineId: matching(identity["machineId"], /^[0-9a-f]{32}$/, "machineId"),
    clockMs,
    hostKey: {
      privateKey: string(hostKey["privateKey"], "hostKey"),
      publicKey: matching(hostKey["publicKey"], /^[^\n]*\n?$/, "hostKey"),
    },
    authorizedKeys: strings(identity["authorizedKeys"], "authorizedKeys")
      .map((key) => matching(key, /^[^\n\r\0]*$/, "authorizedKeys")),
    git: git === null ? null : {
      name: matching(git["name"], /^[^\n\r\0]*$/, "git"),
      email: matching(git["email"], /^[^\n\r\0]*$/, "git"),
    },
    network: network === null ? null : {
      mac: matching(network["mac"], /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, "mac"),
      address: matching(network["address"], /^[0-9.]+\/[0-9]+$/, "address"),
      gateway: matching(network["gateway"], /^[0-9.]+$/, "gateway"),
      dns: strings(network["dns"], "dns").map((ip) => matching(ip, /^[0-9a-f.:]+$/, "dns")),
    },
    growRoot: identity["growRoot"] === true,
    workDisk: isNone(identity["workDisk"])
      ? null
      : checkWorkDisk(fields(identity["workDisk"], "workDisk")),
  };
}

function checkWorkDisk({ user }: Fields): Identity["workDisk"] {
  return { user: user === null ? null : noNul(string(user, "workDisk"), "workDisk") };
}

function fields(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(name);
  return value as Fields;
}

function string(value: unknown, name: string): string {
  if (typeof value !== "string") throw invalid(name);
  return value;
}

function strings(value: unknown, name: string): string[] {
  if (!Array.isArray(value)) throw invalid(name);
  return value.map((item) => string(item, name));
}

function matching(value: unknown, pattern: RegExp, name: string): string {
  const text = string(value, name);
  if (!pattern.test(text)) throw invalid(name);
  return text;
}

function noNul(text: string, name: string): string {
  if (text.includes("\0")) throw invalid(name);
  return text;
}

function invalid(name: string): Failure {
  return new Failure("invalid", `the request's "${name}" is not valid`);
}
