const secretName = /pass(word|phrase)|secret|token|authorization|cookie|credential|private_?key/i;

/**
 * `value` without what must not be in a log: fields named like secrets, and user information in
 * URLs. Nested values are cut at a depth of 4 and 100 entries.
 */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "string") {
    return value.replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\/\s@]+@/gi, "$1[redacted]@");
  }
  if (typeof value !== "object" || value === null) {
    return typeof value === "bigint" ? String(value) : value;
  }
  if (value instanceof Error) return redact(value.message, depth);
  if (depth >= 4) return "[…]";
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).slice(0, 100).map(([name, inner]) => [
      name,
      secretName.test(name) ? "[redacted]" : redact(inner, depth + 1),
    ]),
  );
}
