/** Brings what a document holds into the shared state. */

import type { Checkpoints } from "./checkpoints.ts";
import { changesTo, needRoom, writeChanges } from "./entry_changes.ts";
import type { SharedState } from "./shared_state.ts";
import { readStateDocument } from "./state_document.ts";
import type { StateSnapshot } from "./state_snapshot.ts";

/** How `network.importState` goes about it. */
export interface ImportOptions {
  /**
   * Whether keys that the document does not have are deleted, so that the state is just as it says.
   *
   * @default {false}
   */
  replace?: boolean;
  /**
   * Whether only to say what would change.
   *
   * @default {false}
   */
  dryRun?: boolean;
}

/** What an import has changed, or would change. */
export interface Imported {
  /**
   * The state as it was before, as a checkpoint; null where nothing was written, and on a node that
   * has no directory for it.
   */
  readonly before: string | null;
  /** Keys that have another value now. */
  readonly set: number;
  /** Keys of the document that had that value already. */
  readonly same: number;
  /** Keys that are gone: none without `replace`. */
  readonly deleted: number;
}

/** What an import works on. */
export interface ImportTarget {
  readonly state: SharedState;
  readonly snapshot: () => StateSnapshot;
  /** By how many bytes the state may grow. */
  readonly room: () => number;
  readonly checkpoints: Pick<Checkpoints, "saveBefore"> | undefined;
}

/**
 * See the top of the file. Nothing is written before all of the document has been read.
 *
 * @throws {NetworkError} What `readStateDocument`, `needRoom` and the writing throw.
 */
export async function importState(
  { state, snapshot, room, checkpoints }: ImportTarget,
  document: string | Uint8Array,
  { replace = false, dryRun = false }: ImportOptions,
): Promise<Imported> {
  const bytes = typeof document === "string" ? new TextEncoder().encode(document) : document;
  const { entries } = await readStateDocument(bytes);
  const changes = await changesTo(snapshot, entries, replace ? "go" : "stay");
  const { set, same, deleted } = changes;
  const action = "import the state";
  needRoom(changes, { action, room: room() });
  if (dryRun || set + deleted === 0) return { before: null, set, same, deleted };
  const before = await checkpoints?.saveBefore("import");
  await writeChanges(state, changes, before?.name);
  return { before: before?.name ?? null, set, same, deleted };
}
