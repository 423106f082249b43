/** What models are called, as far as an agent has to know it: the network's catalogue knows the rest. */

import { safeLine } from "../../base/safe_text.ts";

/** The best that the network has. */
export const DEFAULT_MODEL = "default";
/** Several, with commas between them, fit in. */
const MAX_LENGTH = 512;

/** Whether something can be a name: text of one line. */
export function isModelName(name: unknown): name is string {
  return typeof name === "string" && name.trim() !== "" && name.length <= MAX_LENGTH &&
    safeLine(name) === name;
}
