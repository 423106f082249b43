/** Where to listen when nobody has said it. */

import { NetworkError } from "../base/errors.ts";

/** Ports that are tried after the first. */
const PORTS_TO_TRY = 100;

/**
 * Listens on `first`, or on the next port that is free.
 *
 * @returns What `listen` returned.
 * @throws {NetworkError} `PORT_IN_USE` when a hundred more are taken, or whatever else `listen`
 * throws.
 */
export async function onFirstFreePort<T>(
  first: number,
  listen: (port: number) => T | Promise<T>,
): Promise<T> {
  for (let port = first;; port++) {
    try {
      return await listen(port);
    } catch (thrown) {
      const isTaken = thrown instanceof NetworkError && thrown.code === "PORT_IN_USE";
      if (!isTaken || port >= first + PORTS_TO_TRY) throw thrown;
    }
  }
}
