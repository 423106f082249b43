/** The code that is a network's key, for devices that join while no node is up. */

import { NetworkError } from "../base/errors.ts";
import { silentLogger } from "../base/log.ts";
import { encodeJoinCode } from "../security/join_code.ts";
import { KeyringFile } from "../security/keyring_file.ts";
import { systemHostName } from "./node_label.ts";
import { type JoinQr, joinQr } from "./join_qr.ts";

/**
 * The code of the network that this machine is in. It says no address: who has the key finds the
 * others.
 *
 * @param directory The data directory.
 * @throws {NetworkError} `FAILED_PRECONDITION` when this machine is in none.
 */
export async function staticJoinQr(directory: string): Promise<JoinQr> {
  const ring = await new KeyringFile(directory, silentLogger).read();
  if (ring === undefined) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot make a code: this machine is in no network yet, by ${directory}. ` +
        `Make one by starting a node: hanzo-network up`,
    );
  }
  const [{ key }] = ring.keys;
  const uri = encodeJoinCode({
    kind: "static",
    key,
    networkTag: key.tag,
    networkName: ring.networkName,
    nodeId: systemHostName(),
    fingerprint: new Uint8Array(16),
    addresses: [],
    capabilities: { chip: "", memoryMB: 0, fp16Tflops: 0 },
  });
  return joinQr({ uri, kind: "static", expiresAt: null, networkName: ring.networkName });
}
