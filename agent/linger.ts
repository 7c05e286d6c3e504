/** After the program has exited, a pipe that a child of its holds is read until so much silence. */
export const silenceMs = 500;

/** … and at most for so long, not counting the time the host takes. */
export const lingerMs = 5000;

/** … and at most so much: more than a pipe holds was written after the exit (`pipe_size.ts`). */
export const lingerBytes = 2 * 1024 * 1024;
