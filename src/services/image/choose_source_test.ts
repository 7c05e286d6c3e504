import assert from "node:assert/strict";
import {
  catalogEntryFixture,
  imageServiceDeps,
  publicationFixture,
} from "../../../tests/support/image_service_fixture.ts";
import type { Catalog } from "../../catalog/catalog.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import { BangerError, type ErrorKind, isBangerError } from "../../model/errors.ts";
import {
  choiceNotice,
  chooseInstead,
  chooseSource,
  type ChoosingDeps,
  type Wanted,
} from "./choose_source.ts";

const never = new AbortController().signal;
const wanted: Wanted = { kind: "image", name: "tiny", fromDebian: ["tiny", "other"] };
const onlyInCatalog: Wanted = { ...wanted, fromDebian: ["other"] };
const address = "http://127.0.0.1:1/catalog.json";

/** Dependencies with the image `tiny` of a catalog here, or nothing, and a catalog of these entries. */
async function depsOf(
  catalog: Partial<Catalog> | BangerError,
  present: "catalog" | "other catalog" | "archive" | null = null,
): Promise<ChoosingDeps & AsyncDisposable> {
  const deps = await imageServiceDeps();
  if (present !== null) {
    const publication = present === "archive" ? null : publicationFixture;
    const source = present === "catalog" ? deps.catalog.source : present;
    deps.images.publish({ name: "tiny", digest: "sha256:1", source, publication } as ImageRecord);
  }
  return {
    ...deps,
    catalog: {
      ...deps.catalog,
      load: () =>
        catalog instanceof BangerError
          ? Promise.reject(catalog)
          : Promise.resolve({ source: address, entries: [], ...catalog }),
    },
    [Symbol.asyncDispose]: () => deps[Symbol.asyncDispose](),
  };
}

const outOfReach = [
  new BangerError("unavailable", "Cannot download"),
  new BangerError("precondition", "Cannot read catalog", { code: "CATALOG_UNREADABLE" }),
];

Deno.test("a bundle comes first, of this kind, name and processor only", async () => {
  const entry = catalogEntryFixture("image", "tiny");
  await using has = await depsOf({ entries: [entry] });
  const reason = "the catalog has a bundle of it for x86_64";
  const choice = await chooseSource(has, wanted, never);
  assert.deepEqual(choice, { from: "bundle", entry, reason });
  assert.equal(choiceNotice(wanted, choice), `tiny: pulling the bundle, ${reason}`);
  const others = [
    { ...entry, arch: "aarch64" as const },
    { ...entry, kind: "kernel" as const },
    { ...entry, name: "tiny2" },
  ];
  for (const other of others) {
    await using hasNot = await depsOf({ entries: [other] });
    const reason = "the catalog has no bundle of it for x86_64";
    const choice = await chooseSource(hasNot, wanted, never);
    assert.deepEqual(choice, { from: "debian", reason });
    assert.equal(choiceNotice(wanted, choice), `tiny: building from Debian packages, ${reason}`);
  }
});

Deno.test("the built-in catalog is called that", async () => {
  await using deps = await depsOf({ source: "the built-in catalog" });
  const kernel: Wanted = { ...wanted, kind: "kernel" };
  assert.equal(
    choiceNotice(kernel, await chooseSource(deps, kernel, never)),
    "tiny: taking it from the Debian archive, the built-in catalog has no bundle of it for x86_64",
  );
});

Deno.test("a catalog out of reach leaves the Debian archive", async () => {
  for (const error of outOfReach) {
    for (const present of [null, "archive", "other catalog"] as const) {
      await using deps = await depsOf(error, present);
      assert.deepEqual(await chooseSource(deps, wanted, never), {
        from: "debian",
        reason: `the catalog is out of reach (${error.message})`,
      });
    }
  }
});

Deno.test("a catalog out of reach leaves nothing where nothing else has it, or what came from it", async () => {
  for (const error of outOfReach) {
    await using nothing = await depsOf(error);
    await refused(
      chooseSource(nothing, onlyInCatalog, never),
      "unavailable",
      /nothing else has it/,
    );
    await using ours = await depsOf(error, "catalog");
    await refused(chooseSource(ours, wanted, never), "unavailable", /the one that is here stays$/);
  }
});

Deno.test("a catalog that lacks what came from it leaves it alone", async () => {
  await using ours = await depsOf({}, "catalog");
  await refused(chooseSource(ours, wanted, never), "not_found", /has it no more; .* stays$/);
  await using theirs = await depsOf({}, "other catalog");
  assert.equal((await chooseSource(theirs, wanted, never)).from, "debian");
});

Deno.test("a catalog that breaks a rule is never passed over", async () => {
  for (const kind of ["untrusted", "cancelled", "precondition", "exhausted", "internal"] as const) {
    await using deps = await depsOf(new BangerError(kind, "as it was"));
    await refused(chooseSource(deps, wanted, never), kind, /^as it was$/);
  }
});

Deno.test("what no source has is not found, with what the catalog offers for this processor", async () => {
  const entries = [
    catalogEntryFixture("image", "tinny"),
    catalogEntryFixture("kernel", "tiny"),
    { ...catalogEntryFixture("image", "arm"), arch: "aarch64" as const },
  ];
  await using deps = await depsOf({ entries });
  await assert.rejects(chooseSource(deps, onlyInCatalog, never), (error) => {
    assert.ok(isBangerError(error, "not_found"));
    assert.equal(error.hint, "Did you mean tinny? These can be pulled: other, tinny");
    return true;
  });
});

Deno.test("a kernel that only comes with an image is told with it", async () => {
  await using deps = await imageServiceDeps();
  const publication = publicationFixture;
  deps.images.publish(
    { name: "i", digest: "sha256:1", kernel: "tiny", publication } as ImageRecord,
  );
  const kernel: Wanted = { ...onlyInCatalog, kind: "kernel" };
  await refused(chooseSource(deps, kernel, never), "not_found", /it only comes with image "i"$/);
});

Deno.test("only a bundle that cannot be reached is made otherwise", async () => {
  const unavailable = new BangerError("unavailable", "Cannot download");
  await using deps = await depsOf({});
  assert.deepEqual(chooseInstead(deps, wanted, unavailable), {
    from: "debian",
    reason: "its bundle is out of reach (Cannot download)",
  });
  const throws = (from: ChoosingDeps, what: Wanted, error: unknown) =>
    assert.throws(() => chooseInstead(from, what, error), (thrown) => thrown === error);
  throws(deps, onlyInCatalog, unavailable);
  await using ours = await depsOf({}, "catalog");
  throws(ours, wanted, unavailable);
  for (const kind of ["untrusted", "exhausted", "cancelled", "precondition"] as const) {
    throws(deps, wanted, new BangerError(kind, "as it was"));
  }
  throws(deps, wanted, new TypeError("a defect"));
});

async function refused(attempt: Promise<unknown>, kind: ErrorKind, words: RegExp): Promise<void> {
  await assert.rejects(attempt, (error) => {
    assert.ok(isBangerError(error, kind), String(error));
    assert.match(error.message, words);
    return true;
  });
}
