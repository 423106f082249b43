/** The port of the two forms that beacons have: in the clear, and sealed. */

import type { Beacon } from "./beacon.ts";
import type { ForeignBeacon } from "./foreign_beacon.ts";
import type { DropReason } from "./udp_report.ts";

/** What a datagram turned out to be. */
export type HeardBeacon =
  | { readonly type: "beacon"; readonly beacon: Beacon }
  /** A peer of another program sent it. */
  | { readonly type: "foreign"; readonly beacon: ForeignBeacon }
  | { readonly type: "dropped"; readonly reason: DropReason };

/** Writes and reads beacons. Who may be listened to at all is not its business. */
export interface BeaconForm {
  /**
   * The bytes of a beacon.
   *
   * @param on The interface that it leaves by, and its address there.
   * @returns Undefined when there is nothing to say it with.
   */
  write(beacon: Beacon, on: { name: string; address: string }): Uint8Array | undefined;
  /**
   * Reads a datagram that came from `host`, unless too many did.
   *
   * @param bytes Not kept.
   */
  read(bytes: Uint8Array, host: string): HeardBeacon;
}
