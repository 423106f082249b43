/** No key: everybody is talked to, except who was once seen with one. */

import { NetworkError } from "../base/errors.ts";
import type { KnownNodes } from "./known_nodes.ts";
import type { Trust } from "./trust.ts";

/** The trust of an open node. */
export function openTrust(known: KnownNodes): Trust {
  return {
    mode: "open",
    identity: undefined,
    known,
    verifiesPeers: false,
    credentials: () => [],
    keys: () => undefined,
    admits: () => true,
    vouch(nodeId) {
      if (known.identityOf(nodeId) === undefined) return;
      throw new NetworkError(
        "PERMISSION_DENIED",
        `Cannot talk to "${nodeId}" in the clear: it was seen with a key before. Start both ` +
          `without --open, or let this one forget it: hanzo-network key forget ${nodeId}`,
      );
    },
    start() {},
    stop: () => known.close(),
  };
}
