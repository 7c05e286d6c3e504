/** Version of the guest agent, as health and the `Welcome` tell it; equal to deno.json's. */
export const agentVersion = "0.1.0";
