/** Several addresses of one node, dialled so that a dead one costs no wait (RFC 8305). */

import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { Address } from "./frame_stream.ts";

/** How long an address may take before the next one is tried beside it, as RFC 8305 has it. */
const NEXT_ADDRESS_MS = 250;

/**
 * Dials the addresses in order, each a quarter of a second after the one before or as soon as that
 * one has failed, and resolves to what opens first; the others are given up.
 *
 * @param addresses The best first; at least one.
 * @param signal Gives up all.
 * @throws What the first one failed with that did not just refuse; when all refused, that.
 */
export function dialAny<T>(
  addresses: readonly Address[],
  dial: (address: Address, signal: AbortSignal) => Promise<T>,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<T> {
  const found = new AbortController();
  const either = AbortSignal.any([found.signal, signal]);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const waiting = [...addresses];
  const failures: unknown[] = [];
  let cancelTimer = () => {};
  const tryNext = () => {
    cancelTimer();
    const address = waiting.shift();
    if (address === undefined) return;
    if (waiting.length > 0) cancelTimer = clock.after(NEXT_ADDRESS_MS, tryNext);
    dial(address, either).then(
      (opened) => {
        cancelTimer();
        waiting.length = 0;
        resolve(opened);
        found.abort(new NetworkError("CANCELLED", "Another address has answered."));
      },
      (thrown) => {
        failures.push(thrown);
        if (either.aborted) waiting.length = 0;
        if (waiting.length > 0) return tryNext();
        cancelTimer();
        if (failures.length < addresses.length && !either.aborted) return;
        reject(failures.find((one) => !isRefusal(one)) ?? thrown);
      },
    );
  };
  tryNext();
  return promise;
}

function isRefusal(thrown: unknown): boolean {
  return thrown instanceof NetworkError && /refused/.test(thrown.message);
}
