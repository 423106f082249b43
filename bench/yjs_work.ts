/** What both sides do, and what of it is measured. */

/** Whatever was measured: milliseconds, bytes, MiB. */
export type Figures = Record<string, number>;

/** A replica of a shared state. */
export interface Doc {
  set(key: string, value: unknown): void;
  delete(key: string): void;
  append(key: string, item: unknown): void;
  /** All that was written since the last time: what others are told. */
  commit(): Promise<Uint8Array[]>;
  /** Takes what another one has told. */
  take(told: readonly Uint8Array[]): void;
  /** What the other one lacks, as bytes that go to it, both ways; both have all then. */
  sync(other: Doc): number;
  /** How many keys there are. */
  size(): number;
  /** Ends it; what was written is in its file, if it has one. */
  close(): Promise<void>;
}

/** How one side makes replicas. */
export interface Side {
  /** @param path Of its file, new or of an earlier one; undefined: only in memory. */
  create(name: string, path?: string): Doc;
}

/** Writes between two commits: as many as a program does in one turn. */
const TURN = 100;
const MIB = 2 ** 20;

function memory(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Deno.memoryUsage().rss / MIB;
}

/** So many operations, and then what they came to on another replica. */
function writing(count: number, write: (doc: Doc, index: number) => void) {
  return async (side: Side): Promise<Figures> => {
    const [near, far] = [side.create("near"), side.create("far")];
    let bytes = 0;
    let writeMs = 0;
    let takeMs = 0;
    for (let index = 0; index < count; index += TURN) {
      const start = performance.now();
      for (let i = index; i < index + TURN; i++) write(near, i);
      const told = await near.commit();
      const end = performance.now();
      for (const one of told) bytes += one.length;
      far.take(told);
      writeMs += end - start;
      takeMs += performance.now() - end;
    }
    if (near.size() !== far.size()) throw new Error("they are not alike");
    return { "write µs": 1_000 * writeMs / count, "take µs": 1_000 * takeMs / count, bytes };
  };
}

const value = (number: number) => ({ number, text: "x".repeat(30) });

async function filled(side: Side, name: string, keys: number): Promise<Doc> {
  const doc = side.create(name);
  for (let i = 0; i < keys; i++) {
    doc.set(`${name}/${i}`, value(i));
    if (i % TURN === TURN - 1) await doc.commit();
  }
  return doc;
}

/** By what it is called in the table. */
export const WORK: Readonly<Record<string, (side: Side) => Promise<Figures>>> = {
  "100,000 sets of as many keys": writing(100_000, (doc, i) => doc.set(`key/${i}`, value(i))),
  "100,000 sets of 1,000 keys": writing(
    100_000,
    (doc, i) => doc.set(`key/${i % 1_000}`, value(i)),
  ),
  "20,000 appends to one list": writing(20_000, (doc, i) => doc.append("list", value(i))),
  "50,000 keys set and deleted": writing(100_000, (doc, i) => {
    if (i % 2 === 0) doc.set(`key/${i}`, value(i));
    else doc.delete(`key/${i - 1}`);
  }),
  "10,000 keys on either side of a partition": async (side) => {
    const near = await filled(side, "near", 10_000);
    const far = await filled(side, "far", 10_000);
    const start = performance.now();
    const bytes = near.sync(far);
    const ms = performance.now() - start;
    if (near.size() !== 20_000 || far.size() !== 20_000) throw new Error("they are not alike");
    return { ms, bytes };
  },
  "1 key differs of 100,000": async (side) => {
    const near = await filled(side, "near", 100_000);
    const far = side.create("far");
    near.sync(far);
    near.set("one", 1);
    await near.commit();
    const start = performance.now();
    const bytes = near.sync(far);
    return { ms: performance.now() - start, bytes };
  },
  "100,000 keys, set ten times each, from a file": async (side) => {
    const path = `${Deno.args[2]}/file`;
    const before = memory();
    const start = performance.now();
    const doc = side.create("near", path);
    const ms = performance.now() - start;
    const mib = memory() - before;
    if (doc.size() !== 100_000) throw new Error("it is not whole");
    await doc.close();
    return { "open ms": ms, "file bytes": (await Deno.stat(path)).size, MiB: mib };
  },
};

/** Makes the file for the last one, in another process than it is opened in. */
export async function makeFile(side: Side, path: string): Promise<void> {
  const doc = side.create("near", path);
  for (let i = 0; i < 1_000_000; i++) {
    doc.set(`key/${i % 100_000}`, value(i));
    if (i % TURN === TURN - 1) await doc.commit();
  }
  await doc.close();
}
