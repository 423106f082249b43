/** Rows under headings, as wide as they need to be and no wider than the terminal. */

import { safeName } from "../base/safe_text.ts";
import { cutToWidth, displayWidth } from "./width.ts";

const GAP = "  ";
/** A cell is not cut below this, but the line is. */
const LEAST_WIDTH = 8;
/** A cell is not wider than this, on whatever terminal. */
const MOST_WIDTH = 1_000;

/**
 * A table as lines. What does not fit is cut in the widest columns, with an ellipsis; no cell's
 * control characters reach the terminal.
 *
 * @param columns The terminal's width.
 * @param whole How many of the first columns are cut last: ids that are to be typed again.
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number,
  whole = 0,
): string[] {
  const cells = [headings, ...rows].map((row) => row.map(oneLine));
  const widths = headings.map((_, i) =>
    Math.max(...cells.map((row) => displayWidth(row[i] ?? "")))
  );
  const total = () => widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1));
  while (total() > columns) {
    const most = Math.max(...widths.slice(whole));
    if (most <= LEAST_WIDTH) break;
    widths[widths.indexOf(most, whole)]--;
  }
  return cells.map((row) => {
    const line = widths.map((width, i) => fit(row[i] ?? "", width)).join(GAP);
    return cutToWidth(line.trimEnd(), columns);
  });
}

function oneLine(cell: string): string {
  // A newline parts words as a blank does.
  return cutToWidth(safeName(cell.replaceAll(/\s+/g, " "), MOST_WIDTH + 1), MOST_WIDTH);
}

function fit(text: string, width: number): string {
  const cut = cutToWidth(text, width);
  return cut + " ".repeat(width - displayWidth(cut));
}
