/** What SQLite throws, as something to act on. */

import { NetworkError } from "../base/errors.ts";

/** What SQLite's own texts mean: its number is not given by all that Deno 2.9.6 throws. */
const DAMAGED = /malformed|not a database/;
const FULL = /disk is full/;

/** Whether SQLite has thrown it. */
export function isOfStore(thrown: unknown): thrown is Error {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ERR_SQLITE_ERROR";
}

/** Whether a file is no database, or a damaged one. */
export function isDamage(thrown: unknown): boolean {
  return isOfStore(thrown) && DAMAGED.test(thrown.message);
}

/** What is thrown for it: `thrown` itself where SQLite has nothing to do with it. */
export function storeError(thrown: unknown, action = "Cannot use the shared state"): unknown {
  if (!isOfStore(thrown)) return thrown;
  return FULL.test(thrown.message)
    ? NetworkError.from(thrown, "RESOURCE_EXHAUSTED", `${action}, make room on its disk`)
    : NetworkError.from(thrown, "INTERNAL", action);
}

/** A table or page that does not hold together. */
export function damage(what: string): Error {
  return Object.assign(new Error(`database disk image is malformed: ${what}`), {
    code: "ERR_SQLITE_ERROR",
  });
}
