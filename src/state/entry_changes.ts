/** From the entries that are there to others: what has to be written, and writing it. */

import type { JsonValue } from "../base/bounded_json.ts";
import { bytesOf, MAX_VALUE_BYTES, tooLarge } from "../base/bounded_value.ts";
import { NetworkError } from "../base/errors.ts";
import { nestsDeeperThan } from "../base/bounded_json.ts";
import { MAX_DEPTH } from "./row_transaction.ts";
import type { SharedState, StateTransaction } from "./shared_state.ts";
import { nextTurn, type StateSnapshot } from "./state_snapshot.ts";

/** What has to be written. */
export interface EntryChanges {
  /** Keys that get another value. */
  readonly set: number;
  /** Keys that have that value already. */
  readonly same: number;
  /** Keys that go. */
  readonly deleted: number;
  /** By how much the state grows, in bytes; about. */
  readonly growth: number;
  readonly steps: readonly Step[];
}

interface Step {
  readonly write: (state: StateTransaction | SharedState) => unknown;
  /** What it takes in a transaction, about, in bytes. */
  readonly weight: number;
  /** By how much the state grows by all that is written to its key. */
  readonly growth: number;
}

/** What is written together: others go on in between. */
const CHUNK_BYTES = 2 ** 20;
/** Of a list that is longer than a value may be. */
const ITEMS_BYTES = 2 ** 18;
/** What a row takes beside its key and value, at most. */
const ROW_BYTES = 256;

/**
 * Compares what there is with what is wanted.
 *
 * @param take Takes a snapshot of what there is; it is let go of when it has been compared.
 * @param others What becomes of keys that `wanted` does not have.
 */
export async function changesTo(
  take: () => StateSnapshot,
  wanted: ReadonlyMap<string, JsonValue>,
  others: "stay" | "go",
): Promise<EntryChanges> {
  using snapshot = take();
  const steps: Step[] = [];
  const left = new Map(wanted);
  let [set, same, deleted] = [0, 0, 0];
  for (const piece of snapshot.pieces()) {
    for (const [key, was] of piece) {
      const value = left.get(key);
      left.delete(key);
      if (value === undefined) {
        if (wanted.has(key) || others === "stay") continue;
        deleted++;
        steps.push(deletion(key, -bytesOf(was)));
        continue;
      }
      const json = JSON.stringify(value);
      if (json === was) same++;
      else {
        set++;
        steps.push(...setting(key, value, json, -bytesOf(was)));
      }
    }
    await nextTurn();
  }
  let sinceTurn = 0;
  for (const [key, value] of left) {
    const json = JSON.stringify(value);
    set++;
    steps.push(...setting(key, value, json, bytesOf(key)));
    sinceTurn += json.length + ROW_BYTES;
    if (sinceTurn < CHUNK_BYTES) continue;
    sinceTurn = 0;
    await nextTurn();
  }
  // First what makes room.
  steps.sort((one, other) => one.growth - other.growth);
  const growth = steps.reduce((sum, step) => sum + step.growth, 0);
  return { set, same, deleted, growth, steps };
}

/**
 * @param action For the error: `import the state`.
 * @param room How much the state may grow, in bytes.
 * @throws {NetworkError} `RESOURCE_EXHAUSTED` when it would grow by more.
 */
export function needRoom(
  { growth }: EntryChanges,
  { action, room }: { action: string; room: number },
): void {
  const left = Math.max(0, room);
  if (growth <= left) return;
  throw tooLarge(
    action,
    `the state would grow by ${
      Math.ceil(growth)
    } bytes, and there is room for ${left}. Nothing was ` +
      "written; delete what nobody needs any more",
  );
}

/**
 * Writes it, in pieces: what others write at the same time stays or goes as it would anyway.
 *
 * @param before The checkpoint of what there was, if there is one.
 * @throws {NetworkError} What a write fails with; it says so where pieces were written before.
 */
export async function writeChanges(
  state: SharedState,
  { steps }: EntryChanges,
  before: string | undefined,
): Promise<void> {
  let written = 0;
  try {
    for (const chunk of chunksOf(steps)) {
      await writeTogether(state, chunk);
      written += chunk.length;
    }
  } catch (cause) {
    const error = NetworkError.from(cause);
    if (written === 0) throw error;
    throw new NetworkError(
      error.code,
      `${error.message} A part was written before that` +
        (before === undefined ? "." : `; what was there is checkpoint "${before}".`),
      { cause },
    );
  }
}

function* chunksOf(steps: readonly Step[]): Generator<Step[], void, void> {
  for (let at = 0; at < steps.length;) {
    const chunk: Step[] = [];
    for (let weight = 0; at < steps.length && (chunk.length === 0 || weight < CHUNK_BYTES); at++) {
      chunk.push(steps[at]);
      weight += steps[at].weight;
    }
    yield chunk;
  }
}

async function writeTogether(state: SharedState, chunk: readonly Step[]): Promise<void> {
  try {
    await state.transact((tx) => {
      for (const { write } of chunk) write(tx);
    });
  } catch (thrown) {
    if (!(thrown instanceof NetworkError) || thrown.code !== "RESOURCE_EXHAUSTED") throw thrown;
    // One of them replaces a list of so many items that they do not fit into one transaction.
    for (const { write } of chunk) await write(state);
  }
}

function deletion(key: string, growth: number): Step {
  return { write: (state) => state.delete(key), weight: ROW_BYTES + bytesOf(key), growth };
}

/** @param beside What the state grows by beside the value. */
function setting(key: string, value: JsonValue, json: string, beside: number): Step[] {
  const bytes = bytesOf(json);
  if (!Array.isArray(value) || fitsValue(json, bytes)) {
    const weight = ROW_BYTES + bytesOf(key) + bytes;
    return [{ write: (state) => state.set(key, value), weight, growth: bytes + beside }];
  }
  // What was appended bit by bit may come to more than may be set at once.
  const parts = itemsInParts(value);
  const all = bytes + beside + value.length * ROW_BYTES;
  const growth = all / (parts.length + 1);
  return [
    { ...deletion(key, growth) },
    ...parts.map(({ items, bytes }): Step => ({
      write: (state) => state.append(key, ...items),
      weight: bytes + items.length * (ROW_BYTES + bytesOf(key)),
      growth,
    })),
  ];
}

/** Whether a value may be set as it is. */
export function fitsValue(json: string, bytes: number = bytesOf(json)): boolean {
  if (bytes > MAX_VALUE_BYTES) return false;
  return json.length < 2 * MAX_DEPTH ||
    !nestsDeeperThan(json, MAX_DEPTH);
}

function itemsInParts(items: readonly JsonValue[]): { items: JsonValue[]; bytes: number }[] {
  const parts: { items: JsonValue[]; bytes: number }[] = [];
  for (const item of items) {
    const bytes = bytesOf(JSON.stringify(item));
    const last = parts.at(-1);
    if (last === undefined || last.bytes + last.items.length * ROW_BYTES >= ITEMS_BYTES) {
      parts.push({ items: [item], bytes });
    } else {
      last.items.push(item);
      last.bytes += bytes;
    }
  }
  return parts;
}
