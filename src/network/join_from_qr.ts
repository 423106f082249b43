/** Joining a network in a program: from a picture of a code, or its text, to a node. */

import { NetworkError } from "../base/errors.ts";
import { scanQr } from "../security/scan.ts";
import { createDistributedNetwork } from "./create.ts";
import { missingHomeFlags, usualDataDirectory } from "./data_directory.ts";
import type { DistributedNetwork } from "./distributed_network.ts";
import { joinNetwork } from "./join_network.ts";
import type { NetworkOptions } from "./options.ts";

/**
 * What {@linkcode joinNetworkFromQr} takes: the options of the node but the network's name, which
 * comes with the code, and two of its own.
 */
export interface JoinFromQrOptions extends Omit<NetworkOptions, "name"> {
  /**
   * Whether to leave the network that this machine is in, when it has met other devices there.
   *
   * @default {false}
   */
  leave?: boolean;
  /** Gives up joining. */
  signal?: AbortSignal;
}

/**
 * Joins the network of a code, for good, and makes a node of it that is to be started.
 *
 * @example
 * ```ts ignore
 * import { joinNetworkFromQr } from "@hanzo/network";
 *
 * await using network = await joinNetworkFromQr("photo.jpg");
 * await network.start({ waitForPeers: 1 });
 * ```
 *
 * @param source A file of PNG or JPEG, its bytes, or the code itself: `HANZO:1/…`
 * @throws {NetworkError} `INVALID_ARGUMENT` when there is no code in it, or it is cut off or
 * mistyped; `UNAVAILABLE` when the inviter cannot be reached; `PERMISSION_DENIED` when the code is
 * used, expired or not known there; `FAILED_PRECONDITION` when this machine is of another network
 * with other devices.
 */
export async function joinNetworkFromQr(
  source: string | URL | Uint8Array,
  { leave, signal, ...options }: JoinFromQrOptions = {},
): Promise<DistributedNetwork> {
  const dataDirectory = options.dataDirectory ?? usualDataDirectory();
  if (dataDirectory === undefined) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot join: there is no place to keep the key. Give a dataDirectory${
        missingHomeFlags().map((flag) => `, or grant ${flag}`).join("")
      }.`,
    );
  }
  await joinNetwork(await scanQr(source), { dataDirectory, leave, logger: options.logger, signal });
  return createDistributedNetwork({ ...options, dataDirectory });
}
