import { type Input, type Output, OutputClosed } from "./context.ts";

/** The three standard streams of this process. */
export interface Streams {
  readonly out: Output;
  readonly err: Output;
  readonly input: Input;
}

/** The standard streams. Colours as NO_COLOR (no-color.org) and TERM say, on terminals only. */
export function standardStreams(env: (name: string) => string | undefined): Streams {
  return {
    out: new FileOutput(Deno.stdout, env),
    err: new FileOutput(Deno.stderr, env),
    input: {
      get isTerminal() {
        return Deno.stdin.isTerminal();
      },
      read: (buffer) => Deno.stdin.read(buffer),
    },
  };
}

type OutputFile = typeof Deno.stdout | typeof Deno.stderr;

class FileOutput implements Output {
  readonly #file: OutputFile;
  #isTerminal: boolean | undefined;

  readonly #env: (name: string) => string | undefined;

  constructor(file: OutputFile, env: (name: string) => string | undefined) {
    this.#file = file;
    this.#env = env;
  }

  get isTerminal(): boolean {
    return this.#isTerminal ??= this.#file.isTerminal();
  }

  get colour(): boolean {
    if (!this.isTerminal) return false;
    const noColour = this.#env("NO_COLOR");
    return (noColour === undefined || noColour === "") && this.#env("TERM") !== "dumb";
  }

  get columns(): number {
    if (!this.isTerminal) return 80;
    try {
      const { columns } = Deno.consoleSize();
      return columns >= 20 && columns <= 1000 ? columns : 80;
    } catch {
      return 80;
    }
  }

  write(text: string): void {
    let rest = new TextEncoder().encode(text);
    while (rest.length > 0) {
      try {
        rest = rest.subarray(this.#file.writeSync(rest));
      } catch (error) {
        if (!(error instanceof Deno.errors.WouldBlock)) throw outputError(error);
        // Someone made the pipe non-blocking; it takes more soon.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  async writeBytes(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(await this.#file.write(rest));
      } catch (error) {
        if (error instanceof Deno.errors.WouldBlock) {
          // The other end made the pipe non-blocking; it takes more soon.
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        throw outputError(error);
      }
    }
  }
}

function outputError(error: unknown): unknown {
  return error instanceof Deno.errors.BrokenPipe
    ? new OutputClosed("the reader has gone", { cause: error })
    : error;
}
