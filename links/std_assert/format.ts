/**
 * Values as text, and the difference between two of them, for the messages of assertions.
 *
 * @module
 */

import { diff } from "node:util";

/** A value over several lines, with its keys sorted, so that two of them can be compared by line. */
export function format(value: unknown): string {
  return Deno.inspect(value, {
    colors: false,
    compact: false,
    depth: Infinity,
    getters: true,
    iterableLimit: Infinity,
    sorted: true,
    strAbbreviateSize: Infinity,
    trailingComma: true,
  });
}

/**
 * The lines of `actual` that are not in `expected` marked `-`, the other way around `+`, and the
 * lines of both between them.
 */
export function difference(actual: unknown, expected: unknown): string {
  const isText = typeof actual === "string" && typeof expected === "string";
  const actualLines = (isText ? actual : format(actual)).split("\n");
  const expectedLines = (isText ? expected : format(expected)).split("\n");
  const lines = actualLines.length * expectedLines.length > MAX_LINE_PAIRS
    ? firstDifference(actualLines, expectedLines)
    : align(actualLines, expectedLines);
  return ["", "    [Diff] Actual / Expected", "", ...lines, ""].join("\n");
}

/** Pairs of lines up to which finding the smallest difference takes well under a second. */
const MAX_LINE_PAIRS = 4_000_000;
const SHOWN_LINES = 20;

function align(actual: string[], expected: string[]): string[] {
  // Here -1 means "only in the second", 1 "only in the first".
  const marks: Record<number, string> = { [-1]: "+   ", 0: "    ", 1: "-   " };
  return diff(actual, expected).map(([operation, line]) => marks[operation] + line);
}

function firstDifference(actual: string[], expected: string[]): string[] {
  let start = 0;
  while (start < actual.length && actual[start] === expected[start]) start++;
  const shown = (lines: string[], mark: string) =>
    lines.slice(start, start + SHOWN_LINES).map((line) => mark + line);
  return [
    `    … the first ${start} lines are equal`,
    ...shown(actual, "-   "),
    ...shown(expected, "+   "),
    `    … there are ${actual.length} and ${expected.length} lines`,
  ];
}
