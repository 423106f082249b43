/** Reads this machine's interfaces from the system. */

import { isGranted, needGranted, type Permission } from "../base/permissions.ts";
import type { NetworkInterface } from "./interfaces.ts";

const LISTING: Permission = { name: "sys", kind: "networkInterfaces" };

/** What every machine has, for one whose interfaces may not be listed. */
const ASSUMED: readonly NetworkInterface[] = [
  { name: "lo", address: "127.0.0.1", netmask: "255.0.0.0" },
];

/** What there was when they could be listed last. */
let known: NetworkInterface[] | undefined;

/**
 * The IPv4 interfaces of this machine; without `--allow-sys=networkInterfaces` its loopback. While
 * the process has no file descriptor left to ask for them, those of before.
 */
export function systemInterfaces(): NetworkInterface[] {
  if (!isGranted(LISTING)) return [...ASSUMED];
  try {
    known = Deno.networkInterfaces()
      .filter(({ family }) => family === "IPv4")
      .map(({ name, address, netmask }) => ({ name, address, netmask }));
  } catch (thrown) {
    if (known === undefined) throw thrown;
  }
  return [...known];
}

/** Whether this machine has an address of IPv6, as far as it may be known. */
export function hasIPv6(): boolean {
  return isGranted(LISTING) && Deno.networkInterfaces().some(({ family }) => family === "IPv6");
}

/**
 * Throws unless what {@linkcode systemInterfaces} lists is all that there are.
 *
 * @param action What they are needed for, for the beginning of the message.
 * @throws {NetworkError} `PERMISSION_DENIED` without `--allow-sys=networkInterfaces`.
 */
export function needInterfaces(action: string): void {
  needGranted(action, LISTING);
}
