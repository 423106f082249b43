/** The shared state: reads and writes of one replica, in memory and durable. `deno bench -A bench/`. */

import { systemClock } from "../src/base/clock.ts";
import { silentLogger } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import { RowStore } from "../src/state/row_store.ts";
import { openStateFile } from "../src/state/state_file.ts";
import { StateReplica, type StateReplicaOptions } from "../src/state/state_replica.ts";

const WRITES = 1_000;

function replica(options: Pick<StateReplicaOptions, "store" | "sync">): StateReplica {
  return new StateReplica({ nodeId: "a", clock: systemClock, random: systemRandom, ...options });
}

/** So many keys with a value of fifty bytes each. */
async function fill(state: StateReplica, keys: number): Promise<void> {
  const writes = [];
  for (let i = 0; i < keys; i++) {
    writes.push(state.set(`key/${i}`, { number: i, text: "x".repeat(30) }));
  }
  await Promise.all(writes);
}

const inMemory = replica({ store: new RowStore() });
await fill(inMemory, 10_000);
const directory = await Deno.makeTempDir();
const file = await openStateFile({ directory, networks: ["bench"], logger: silentLogger });
const onDisk = replica({ store: file.store, sync: () => file.sync() });
await fill(onDisk, 10_000);
let next = 0;

Deno.bench("get", { group: "read" }, () => {
  inMemory.get(`key/${next++ % 10_000}`);
});

Deno.bench("get, from a file", { group: "read" }, () => {
  onDisk.get(`key/${next++ % 10_000}`);
});

for (const [name, state] of [["in memory", inMemory], ["durable", onDisk]] as const) {
  Deno.bench(`${WRITES} × set, ${name}`, { group: "write" }, async () => {
    const writes = [];
    for (let i = 0; i < WRITES; i++) writes.push(state.set(`key/${next++ % 10_000}`, next));
    await Promise.all(writes);
  });
  Deno.bench(`${WRITES} × increment, ${name}`, { group: "write" }, async () => {
    const writes = [];
    for (let i = 0; i < WRITES; i++) writes.push(state.increment(`count/${next++ % 100}`));
    await Promise.all(writes);
  });
}

Deno.bench("set, durable, one at a time", { group: "one" }, async () => {
  await onDisk.set("one", next++);
});

globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
