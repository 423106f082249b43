/** Reads this machine's interfaces from the system. */

import { NetworkError } from "../base/errors.ts";
import type { NetworkInterface } from "./interfaces.ts";

/**
 * The IPv4 interfaces of this machine.
 *
 * @throws {NetworkError} `PERMISSION_DENIED` without `--allow-sys=networkInterfaces`.
 */
export function systemInterfaces(): NetworkInterface[] {
  try {
    return Deno.networkInterfaces()
      .filter(({ family }) => family === "IPv4")
      .map(({ name, address, netmask }) => ({ name, address, netmask }));
  } catch (cause) {
    throw new NetworkError(
      "PERMISSION_DENIED",
      "Cannot list the network interfaces: not permitted. Grant --allow-sys=networkInterfaces.",
      { cause },
    );
  }
}
