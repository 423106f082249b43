/** What is gone, and how it is forgotten. */

import { PartKind, takenBackPart } from "./row.ts";
import type { RowLedger } from "./row_ledger.ts";

/**
 * Forgets what is gone by stamps of before then, where what it has ended was seen: whoever brings
 * that later has to ask for everything first, and learns so that it is gone.
 *
 * @param before Milliseconds since 1970.
 */
export function forgetGone(ledger: RowLedger, before: number): void {
  const { store, versions } = ledger;
  const gone = store.goneBefore(before).filter((row) =>
    versions.has(row) && (row.base === undefined || versions.has(row.base))
  );
  if (gone.length === 0) return;
  ledger.inTransaction(() => {
    for (const row of gone) {
      ledger.drop(row);
      ledger.forget(row.origin, row.seq);
      if (!row.part.startsWith(PartKind.Added)) continue;
      const taken = store.row(row.key, takenBackPart(row.part));
      if (taken === undefined) continue;
      ledger.drop(taken);
      ledger.forget(taken.origin, taken.seq);
    }
  });
}
