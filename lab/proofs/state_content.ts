/** What a state shows, as a short text that two processes can compare. */

import { createHash } from "node:crypto";
import type { JsonValue } from "../../src/base/bounded_json.ts";

/** The same for the same keys and values. */
export function contentSum(entries: readonly [key: string, value: JsonValue][]): string {
  return createHash("sha256").update(JSON.stringify(entries)).digest("hex").slice(0, 32);
}
