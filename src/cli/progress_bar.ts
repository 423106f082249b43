/** How far work has come, drawn in one line of the terminal. */

import type { MapProgress } from "../tasks/map_prompts.ts";

/** Columns between the ends of the bar. */
const COLUMNS = 30;

/** `█████░░░░░  5 of 10, 1 failed` */
export function progressBar({ done, failed }: MapProgress, total: number): string {
  const filled = total === 0 ? COLUMNS : Math.floor(COLUMNS * done / total);
  const bar = "█".repeat(filled) + "░".repeat(COLUMNS - filled);
  return `${bar}  ${done} of ${total}${failed > 0 ? `, ${failed} failed` : ""}`;
}
