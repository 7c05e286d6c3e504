/** Codes of errors when a command could not be started in a guest. */
export const guestRefusals = {
  notFound: "GUEST_COMMAND_NOT_FOUND",
  notExecutable: "GUEST_COMMAND_NOT_EXECUTABLE",
} as const;
