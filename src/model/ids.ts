/**
 * The nouns of banger: ids, names, states and errors, without behaviour and without imports.
 *
 * Everything may import this folder; it imports nothing outside itself.
 */

/** A VM's identity: 16 lower-case hexadecimal digits, never reused. */
export type VmId = string & { readonly __brand: "VmId" };

/** An operation's identity: 16 lower-case hexadecimal digits. */
export type OperationId = string & { readonly __brand: "OperationId" };

const idPattern = /^[0-9a-f]{16}$/;

/** Whether `text` has the form of a {@linkcode VmId} or {@linkcode OperationId}. */
export function isId(text: string): boolean {
  return idPattern.test(text);
}

/** A fresh random id (64 bits from the system's generator). */
export function newId<T extends VmId | OperationId>(): T {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") as T;
}
