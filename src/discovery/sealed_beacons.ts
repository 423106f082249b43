/** Beacons that only who has the network's key can write and read. */

import type { Clock } from "../base/clock.ts";
import type { NetworkKey } from "../security/network_key.ts";
import { DatagramOpener, DatagramSealer } from "../security/sealed_datagram.ts";
import { type Beacon, decodeBeacon, encodeBeacon, MAX_BEACON_BYTES } from "./beacon.ts";
import type { BeaconForm, HeardBeacon } from "./beacon_form.ts";
import { SourceLimits } from "./source_limits.ts";
import type { DropReason } from "./udp_report.ts";

/** What {@linkcode SealedBeacons} is made of. */
export interface SealedBeaconsOptions {
  readonly clock: Clock;
  /** The keys that are accepted now; the first one seals. */
  readonly keys: () => readonly NetworkKey[];
}

/** What text in JSON begins with: the beacons of nodes without a key, and of other programs. */
const BRACE = 0x7b;

/** See the top of the file. */
export class SealedBeacons implements BeaconForm {
  readonly #keys: () => readonly NetworkKey[];
  readonly #limits: SourceLimits;
  readonly #sealer = new DatagramSealer();
  readonly #opener: DatagramOpener;

  constructor({ clock, keys }: SealedBeaconsOptions) {
    this.#keys = keys;
    const limits = this.#limits = new SourceLimits({ clock });
    // Only what has passed the check counts: a flood that names a member's host as its source
    // would use up its allowance otherwise.
    this.#opener = new DatagramOpener({ mayDecrypt: (host) => limits.admits(host) });
  }

  write(beacon: Beacon, { address }: { address: string }): Uint8Array | undefined {
    const [key] = this.#keys();
    return key && this.#sealer.seal(key, encodeBeacon(beacon), address);
  }

  read(bytes: Uint8Array, host: string): HeardBeacon {
    // Nothing that a stranger has written is decoded.
    if (bytes[0] === BRACE) return dropped("plaintext");
    if (bytes.length > MAX_BEACON_BYTES) return dropped("malformed");
    const opened = this.#opener.open(bytes, this.#keys(), host);
    if (opened.type !== "opened") return dropped(opened.type);
    this.#limits.proved(host);
    try {
      return { type: "beacon", beacon: decodeBeacon(opened.plaintext) };
    } catch {
      return dropped("malformed");
    }
  }
}

function dropped(reason: DropReason): HeardBeacon {
  return { type: "dropped", reason };
}
