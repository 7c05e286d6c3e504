import { matchingLines, type Rule } from "./rule.ts";

/** In pieces, so that this file does not name them. */
const hosts = [
  ["registry", "npmjs", "org"],
  ["registry", "yarnpkg", "com"],
  ["npm", "jsr", "io"],
  ["deb", "debian", "org"],
  ["ftp", "debian", "org"],
  ["security", "debian", "org"],
  ["dl", "deno", "land"],
].map((parts) => parts.join("\\."));
const places = [["work", "main"], ["work", "shared"], ["tmp", "h", ""], ["tmp", "env\\.sh"]]
  .map((parts) => ["", ...parts].join("/"));

/** Nothing of the machine that a file was written on stays in it. */
export const foreignNames: Rule = {
  name: "no registry or mirror host and no path of a machine is in the project",
  reason:
    "registry and mirror come from the configuration of npm, apt or banger; paths are the user's",
  violations: (files) =>
    matchingLines(files, ({ text }) => text, new RegExp([...hosts, ...places].join("|"))),
  broken: [{
    path: "src/debian/mirror.ts",
    text: `fetch("http://${["deb", "debian", "org"].join(".")}/");`,
  }],
};
