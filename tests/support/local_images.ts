import { findProgram } from "../../src/process/find_program.ts";
import { plainEnv, run } from "../../src/process/run.ts";
import type { Need } from "./end_to_end.ts";

const programs = ["skopeo", "umoci", "tar"];
const missing: string[] = [];
for (const name of programs) if (await findProgram(name) === undefined) missing.push(name);

/** Programs that others make images with. */
export const needsImageTools: Need = {
  met: missing.length === 0 && Deno.uid() === 0,
  otherwise: `${missing.join(", ") || "root"} is missing`,
};

/** A tree with busybox, two users and /etc/gone, below `dir`. */
export async function busyboxTree(dir: string): Promise<string> {
  const tree = `${dir}/tree`;
  for (const name of ["bin", "etc", "srv"]) {
    await Deno.mkdir(`${tree}/${name}`, { recursive: true });
  }
  await Deno.copyFile(await findProgram("busybox") ?? "/bin/busybox", `${tree}/bin/busybox`);
  await Deno.chmod(`${tree}/bin/busybox`, 0o755);
  for (const name of ["sh", "id", "env", "pwd", "cat", "ls"]) {
    await Deno.symlink("busybox", `${tree}/bin/${name}`);
  }
  const users = "root:x:0:0::/root:/bin/sh\napp:x:7:8::/srv:/bin/sh\n";
  await Deno.writeTextFile(`${tree}/etc/passwd`, users);
  await Deno.writeTextFile(`${tree}/etc/gone`, "below");
  return tree;
}

/**
 * An OCI layout that umoci makes of a {@linkcode busyboxTree} and of a second layer that removes a
 * file. Its image has the tag `1`; programs run in /srv as `app:8`, with PATH and GREETING.
 */
export async function busyboxLayout(dir: string): Promise<string> {
  const tree = await busyboxTree(dir);
  await Deno.writeTextFile(`${dir}/kept`, "above\n");
  const layout = `${dir}/busybox`;
  const image = `${layout}:1`;
  await umoci("init", "--layout", layout);
  await umoci("new", "--image", image);
  await umoci("insert", "--image", image, tree, "/");
  await umoci("insert", "--image", image, `${dir}/kept`, "/etc/kept");
  await umoci("insert", "--image", image, "--whiteout", "/etc/gone");
  await umoci(
    ...["config", "--image", image, "--config.user", "app:8", "--config.workingdir", "/srv"],
    ...["--config.env", "PATH=/bin", "--config.env", "GREETING=hi there"],
  );
  await umoci("gc", "--layout", layout);
  return layout;
}

/** Copies an image from one of skopeo's places to another. */
export async function skopeoCopy(from: string, to: string): Promise<void> {
  await run("skopeo", ["--insecure-policy", "copy", "--quiet", from, to], {
    env: { ...plainEnv, HOME: "/nonexistent" },
    timeoutMs: 60_000,
  });
}

/** A tar of what is in a directory. */
export async function tarOfDir(dir: string, file: string): Promise<void> {
  const names = await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
  await run("tar", ["-cf", file, "-C", dir, "--", ...names.sort()], { timeoutMs: 60_000 });
}

/** Any JSON of a file, changed. */
export async function editJson(
  path: string,
  // deno-lint-ignore no-explicit-any -- a test knows what is in its files
  edit: (value: any) => unknown,
): Promise<void> {
  const value = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify(edit(value) ?? value));
}

async function umoci(...args: string[]): Promise<void> {
  await run("umoci", args, { timeoutMs: 60_000 });
}
