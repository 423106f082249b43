/** Rows under headings, as wide as they need to be and no wider than the terminal. */

import { safeName } from "../base/safe_text.ts";

const GAP = "  ";
/** A cell is not cut below this. */
const LEAST_WIDTH = 8;

/**
 * A table as lines. What does not fit is cut in the widest columns, with an ellipsis; no cell's
 * control characters reach the terminal.
 *
 * @param columns The terminal's width.
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number,
): string[] {
  const cells = [headings, ...rows].map((row) => row.map((cell) => safeName(cell, 1_000)));
  const widths = headings.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const total = () => widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1));
  while (total() > columns) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest] <= LEAST_WIDTH) break;
    widths[widest]--;
  }
  return cells.map((row) => widths.map((width, i) => fit(row[i] ?? "", width)).join(GAP).trimEnd());
}

function fit(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
}
