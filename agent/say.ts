/** Writes a line to the agent's log, `/run/banger/agent.log`. */
export function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`banger-agent: ${text}\n`));
}
