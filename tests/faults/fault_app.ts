const root = new URL("../../", import.meta.url).pathname;

/**
 * Makes the program of daemons with faults in `dir`: the built program's own files, and the code that stands in
 * front of them.
 */
export async function makeFaultApp(dir: string): Promise<void> {
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  const built = `${root}build/bundle/banger`;
  for await (const { name, isFile } of Deno.readDir(built)) {
    if (isFile) await Deno.copyFile(`${built}/${name}`, `${dir}/${name}`);
  }
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--outdir", dir, `${root}tests/faults/daemon/preload.ts`],
    cwd: root,
  }).output();
  if (!success) throw new Error(`cannot bundle: ${new TextDecoder().decode(stderr)}`);
}
