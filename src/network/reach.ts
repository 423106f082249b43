/** To which addresses a node may talk at all. */

import { NetworkError } from "../base/errors.ts";
import { leavesMachine, type ResolvedOptions } from "./options.ts";
import { isLoopback, isPrivateAddress } from "../transport/interfaces.ts";

/**
 * A function that says whether a node at an address may be talked to. Whoever is verified may be
 * anywhere; in the clear, and unverified, only near.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when the range is none, or not private.
 */
export function reachOf(
  options: Pick<ResolvedOptions, "open" | "tls" | "networkInterfaces">,
): (host: string) => boolean {
  const { open, tls } = options;
  const range = typeof open === "string" ? parseRange(open) : undefined;
  if (!leavesMachine(options)) return isThisMachine;
  if (range !== undefined) return (host) => isThisMachine(host) || range(host);
  if (open === true || tls?.verifyPeers === false) return isPrivateAddress;
  return () => true;
}

function isThisMachine(host: string): boolean {
  return isLoopback({ address: host.replace(/^::ffff:/i, "") }) || host === "::1" ||
    host === "localhost";
}

/** Whether an address is in a CIDR range of private ones. */
export function parseRange(text: string): (host: string) => boolean {
  const match = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(text);
  const base = match === null ? undefined : toNumber(match[1]);
  const bits = Number(match?.[2]);
  if (match === null || base === undefined || bits > 32) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot open to ${JSON.stringify(text)}: expected an IPv4 range such as 192.168.1.0/24.`,
    );
  }
  // The widest private range, 10.0.0.0/8, sets the least length.
  if (bits < 8 || !isPrivateAddress(match[1])) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot open to ${text}: without encryption only private ranges are allowed ` +
        `(10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16).`,
    );
  }
  const size = 2 ** (32 - bits);
  const first = Math.floor(base / size) * size;
  return (host) => {
    const address = toNumber(host.replace(/^::ffff:/i, ""));
    // A wide range may reach beyond a private one: both must hold.
    return address !== undefined && address >= first && address < first + size &&
      isPrivateAddress(host);
  };
}

function toNumber(address: string): number | undefined {
  const octets = address.split(".").map(Number);
  const isAddress = octets.length === 4 &&
    octets.every((octet) => Number.isInteger(octet) && octet >= 0 && octet <= 255);
  return isAddress ? octets.reduce((sum, octet) => sum * 256 + octet, 0) : undefined;
}
