/** Beacons in the clear: anybody can write them, and peers of other programs can read them. */

import type { Clock } from "../base/clock.ts";
import { isSealed } from "../security/sealed_datagram.ts";
import { type Beacon, decodeBeacon, encodeBeacon } from "./beacon.ts";
import type { BeaconForm, HeardBeacon } from "./beacon_form.ts";
import { decodeForeignBeacon, type ForeignCapabilities, foreignFields } from "./foreign_beacon.ts";
import { SourceLimits } from "./source_limits.ts";

/** What {@linkcode PlainBeacons} is made of. */
export interface PlainBeaconsOptions {
  readonly clock: Clock;
  readonly broadcastPort: number;
  /** Of this device, for peers of other programs; undefined when they are ignored. */
  readonly capabilities: (() => ForeignCapabilities | undefined) | undefined;
}

/** See the top of the file. */
export class PlainBeacons implements BeaconForm {
  readonly #options: PlainBeaconsOptions;
  readonly #limits: SourceLimits;

  constructor(options: PlainBeaconsOptions) {
    this.#options = options;
    this.#limits = new SourceLimits(options);
  }

  write(beacon: Beacon, { name }: { name: string }): Uint8Array {
    const { capabilities, broadcastPort, clock } = this.#options;
    const known = capabilities?.();
    const more = known && foreignFields({
      broadcastPort,
      capabilities: known,
      interfaceName: name,
      wallTime: clock.wallTime(),
    });
    return encodeBeacon(beacon, more);
  }

  read(bytes: Uint8Array, host: string): HeardBeacon {
    if (isSealed(bytes)) return { type: "dropped", reason: "sealed" };
    if (!this.#limits.admits(host)) return { type: "dropped", reason: "rate" };
    const heard = this.#decode(bytes);
    // As far as can be known: here, who sends beacons that can be read is as good as any other.
    if (heard.type !== "dropped") this.#limits.proved(host);
    return heard;
  }

  #decode(bytes: Uint8Array): HeardBeacon {
    try {
      return { type: "beacon", beacon: decodeBeacon(bytes) };
    } catch {
      return this.#decodeForeign(bytes);
    }
  }

  /** It is no beacon of ours: of another program's, or of none. */
  #decodeForeign(bytes: Uint8Array): HeardBeacon {
    if (this.#options.capabilities === undefined) return { type: "dropped", reason: "malformed" };
    try {
      return { type: "foreign", beacon: decodeForeignBeacon(bytes) };
    } catch {
      return { type: "dropped", reason: "malformed" };
    }
  }
}
