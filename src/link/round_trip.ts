/** How far away an address is, measured by TCP's own handshake: one round trip, no stream. */

import { describeError, NetworkError } from "../base/errors.ts";
import { needGranted } from "../base/permissions.ts";
import type { TrustMode } from "../security/trust.ts";
import { type Address, formatAddress } from "./frame_stream.ts";

/**
 * How long a TCP connection to `address` takes, in milliseconds; it is closed at once.
 *
 * @throws {NetworkError} `UNAVAILABLE` when nobody answers; `PERMISSION_DENIED`; or the signal's
 * reason.
 */
export async function connectTime(address: Address, signal: AbortSignal): Promise<number> {
  const target = formatAddress(address);
  needGranted(`Cannot reach ${target}`, { name: "net", host: target });
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
    throw unreachable(target, cause, { unanswered: true });
  }
}

/** What a dial of `target` failed with; `refused` when its host says that nothing listens there. */
export function unreachable(
  target: string,
  cause: unknown,
  options: { unanswered?: boolean } = {},
): NetworkError {
  const details = describeError(cause);
  const refused = /ECONNREFUSED|Connection refused/i.test(details);
  return new NetworkError(
    "UNAVAILABLE",
    `Cannot reach ${target}: ${refused ? "connection refused" : details}. ` +
      `Is a node running there?`,
    { ...options, cause },
  );
}

/** Nobody is invited where an authority of the operator's decides. */
const BOTH_CERTIFIED =
  "Both certificates must be issued by an authority in the other's --tls-ca: look at doctor on both";

/** What gRPC says of a handshake, and what a person can do about it. */
const MENDS: readonly (readonly [RegExp, Record<TrustMode, string>])[] = [
  [/certificate does not count/, {
    keyed: "the certificate of the node there does not count any more: it was evicted, or was " +
      "away while the key was changed. Let it join again: hanzo-network invite on a device of the " +
      "network, hanzo-network join there",
    tls: "the certificate of the node there is for no name that a node can have. Let its common " +
      "name, or a DNS name, be the node's label",
    open: "",
  }],
  [/certificate|issuer|unknown ?ca/i, {
    keyed: "the node there is of another network, or what it shows has expired. Let it join this " +
      "one: hanzo-network invite here, hanzo-network join there",
    tls:
      "no authority in this node's --tls-ca has issued the certificate of the node there, or it " +
      `is not valid now. ${BOTH_CERTIFIED}`,
    open: "",
  }],
  [/wrong version number|InvalidContentType|packet length/i, {
    keyed: "what answers there speaks no TLS: it is another program, or a node that was started " +
      "with --open. Start both with it, or both without",
    tls: "what answers there speaks no TLS: it is another program, or a node that was started " +
      "with --open. Start it without, and with --tls-cert, --tls-key and --tls-ca",
    open: "",
  }],
  [/Failed to connect|disconnected before|ECONNRESET|EPIPE|hang up|closed|dropped/i, {
    keyed: "what answers there broke off, as a node does with who is not of its network, or no " +
      "longer. Let this one join: hanzo-network invite there, hanzo-network join here",
    tls: "what answers there broke off, as a node does whose --tls-ca has not issued this node's " +
      `certificate, or to which it is not valid now. ${BOTH_CERTIFIED}`,
    open: "what answers there broke off: it is another program, or a node that was started " +
      "without --open. Start both with it, or both without",
  }],
];

/**
 * What a dial came to where somebody answers and there is no link.
 *
 * @param details gRPC's own words.
 * @param by What it was secured by.
 */
export function notLinked(target: string, details: string, by: TrustMode): NetworkError {
  const reason = describeError(details).replace(/^No connection established\. Last error: /, "")
    .replace(/\.? Resolution note:.*$/, "")
    // When it was, which would make each attempt a reason of its own.
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, "");
  const mend = MENDS.find(([pattern]) => pattern.test(reason))?.[1][by];
  if (!mend) return unreachable(target, reason);
  return new NetworkError("UNAVAILABLE", `Cannot reach ${target}: ${mend}.`, { cause: details });
}
