/** How far away an address is, measured by TCP's own handshake: one round trip, no stream. */

import { describeError, NetworkError } from "../base/errors.ts";
import { type Address, formatAddress } from "./frame_stream.ts";

/**
 * How long a TCP connection to `address` takes, in milliseconds; it is closed at once.
 *
 * @throws {NetworkError} `UNAVAILABLE` when nobody answers, or the signal's reason.
 */
export async function connectTime(address: Address, signal: AbortSignal): Promise<number> {
  const startedAt = performance.now();
  try {
    const connection = await Deno.connect({
      hostname: address.host,
      port: address.port,
      signal,
    });
    connection.close();
    return performance.now() - startedAt;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw unreachable(formatAddress(address), cause);
  }
}

/** What a dial of `target` failed with; `refused` when its host says that nothing listens there. */
export function unreachable(target: string, cause: unknown): NetworkError {
  const details = describeError(cause);
  const refused = /ECONNREFUSED|Connection refused/i.test(details);
  return new NetworkError(
    "UNAVAILABLE",
    `Cannot reach ${target}: ${refused ? "connection refused" : details}. ` +
      `Is a node running there?`,
    { cause },
  );
}
