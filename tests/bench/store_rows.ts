import { Store } from "../../src/store/store.ts";
import { type BenchContext, type BenchRow, median } from "./table.ts";

/** Changes of one sample; their median is the sample's figure. */
const changesInSample = 50;
/** What a change writes at least: a page of the log. */
const pageBytes = 4096;

/** Row 6: a change of a VM's row that is durable when the call returns, over a write of a page and fdatasync(2). */
export async function* storeRows({ banger, paths, pairs }: BenchContext): AsyncGenerator<BenchRow> {
  await banger.run(["daemon", "stop", "--force"]);
  const own: number[] = [], floor: number[] = [];
  using store = Store.open(paths);
  const [vm] = store.vms.list();
  if (vm === undefined) throw new Error("the store has no VM");
  using file = await Deno.open(`${paths.stateDir}/floor`, { create: true, write: true });
  const page = crypto.getRandomValues(new Uint8Array(pageBytes));
  for (let pair = -1; pair < pairs; pair++) {
    const changes: number[] = [], writes: number[] = [];
    for (let n = 0; n < changesInSample; n++) {
      changes.push(timed(() => store.vms.update(vm.id, { failure: `${pair} ${n}` })));
      writes.push(timed(() => {
        file.writeSync(page);
        file.syncDataSync();
      }));
    }
    if (pair < 0) continue;
    own.push(median(changes));
    floor.push(median(writes));
  }
  const floorName = "4 KiB and fdatasync";
  yield { row: 6, name: "durable change of a row", own, floorName, floor, unit: "ms", target: 2 };
}

function timed(body: () => unknown): number {
  const startMs = performance.now();
  body();
  return performance.now() - startMs;
}
