/**
 * Any text at all, for property tests.
 *
 * @module
 */

import fc from "fast-check";

/**
 * Text of any UTF-16 units, halves of surrogate pairs included. The library's own `unit: "binary"`
 * takes a second to build in every file that uses it.
 */
export function anyText(constraints: fc.StringSharedConstraints = {}): fc.Arbitrary<string> {
  const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
  return fc.string({ ...constraints, unit });
}
