/** Collects garbage when a test wants it: what is measured then is held by somebody. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/** Collects all garbage. */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}

/** What is held now, in bytes. */
export function heldBytes(): number {
  collectGarbage();
  return Deno.memoryUsage().heapUsed;
}
