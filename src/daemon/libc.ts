import { BangerError } from "../model/errors.ts";

/** The addresses of what is called. */
const symbols = {
  close: { type: "pointer" },
  close_range: { type: "pointer" },
  getsockname: { type: "pointer" },
  getsockopt: { type: "pointer" },
  malloc_trim: { type: "pointer" },
} as const;

/** A function at an address of this process. */
type Definition = Omit<Deno.ForeignFunction, "nonblocking">;

/**
 * The few functions of the C library that Deno has no other way to; needs permission for FFI. They
 * are called through pointers: for a symbol that is given a signature Deno generates machine code,
 * and its generator takes 2 MiB of memory for good.
 */
export class LibC implements Disposable {
  readonly #library = Deno.dlopen("libc.so.6", symbols);
  /** close(2) */
  readonly close = this.#function("close", { parameters: ["i32"], result: "i32" });
  /** close_range(2) */
  readonly closeRange = this.#function("close_range", {
    parameters: ["u32", "u32", "i32"],
    result: "i32",
  });
  /** getsockname(2) */
  readonly getsockname = this.#function("getsockname", {
    parameters: ["i32", "buffer", "buffer"],
    result: "i32",
  });
  /** getsockopt(2) */
  readonly getsockopt = this.#function("getsockopt", {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  });
  /** malloc_trim(3) */
  readonly mallocTrim = this.#function("malloc_trim", { parameters: ["usize"], result: "i32" });

  /** Unloads it; nothing may be called afterwards. */
  [Symbol.dispose](): void {
    this.#library.close();
  }

  #function<const D extends Definition>(name: keyof typeof symbols, definition: D) {
    const address = this.#library.symbols[name];
    if (address === null) throw new BangerError("internal", `Cannot find "${name}" in libc.so.6`);
    return new Deno.UnsafeFnPointer(address as Deno.PointerObject<NoInfer<D>>, definition);
  }
}
