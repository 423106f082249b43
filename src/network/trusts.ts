/** Whom a node trusts, as its options ask for it. */

import type { Clock } from "../base/clock.ts";
import { missingFlags, needGranted } from "../base/permissions.ts";
import { KeyedTrust } from "../security/keyed_trust.ts";
import { KeyringFile } from "../security/keyring_file.ts";
import { newKeyring } from "../security/keyring.ts";
import { NodeIdentity } from "../security/identity.ts";
import { KnownNodes } from "../security/known_nodes.ts";
import { openTrust } from "../security/open_trust.ts";
import { OwnTlsTrust } from "../security/own_tls_trust.ts";
import type { Trust, TrustMode } from "../security/trust.ts";
import { missingHomeFlags } from "./data_directory.ts";
import { DEFAULT_NETWORK_NAME, type ResolvedOptions } from "./options.ts";

/** How the options want peers to be told from strangers. */
export function trustMode({ open, tls }: Pick<ResolvedOptions, "open" | "tls">): TrustMode {
  return open !== false ? "open" : tls !== undefined ? "tls" : "keyed";
}

/** Whether peers must show who they are. */
export function verifiesPeers(options: Pick<ResolvedOptions, "open" | "tls">): boolean {
  return trustMode(options) !== "open" && options.tls?.verifyPeers !== false;
}

/**
 * Reads, or makes, what is shown and believed.
 *
 * @throws {NetworkError} When a file of it is damaged or cannot be read.
 */
export async function makeTrust(options: ResolvedOptions, clock: Clock): Promise<Trust> {
  const { nodeId, logger, tls, name = DEFAULT_NETWORK_NAME } = options;
  const mode = trustMode(options);
  if (mode === "tls") {
    const { cert, key, ca, verifyPeers } = tls!;
    needGranted(
      "Cannot read the certificates",
      ...[cert, key, ca].map((path) => ({ name: "read", path }) as const),
    );
    return await OwnTlsTrust.open({ files: { cert, key, ca }, verifyPeers, nodeId, clock, logger });
  }
  const directory = usableDirectory(options, mode === "keyed");
  const own = ownDirectory(options);
  if (own !== undefined) await Deno.mkdir(own, { recursive: true, mode: 0o700 });
  const path = own && `${own}/known_nodes.json`;
  const known = await KnownNodes.open({ path, clock, logger });
  if (mode === "open") return openTrust(known);
  const file = directory === undefined ? undefined : new KeyringFile(directory, logger);
  return await KeyedTrust.open({
    nodeId,
    known,
    file,
    clock,
    logger,
    identity: own === undefined
      ? NodeIdentity.create()
      : await NodeIdentity.keep(`${own}/identity.json`),
    ring: await file?.readOrMake(name) ?? newKeyring(name),
  });
}

/** The directory of the node's own, if it has a label that lasts and may use one. */
export function ownDirectory(options: ResolvedOptions): string | undefined {
  const { dataDirectory: path, nodeId, isNamed } = options;
  if (!isNamed || path === undefined) return undefined;
  const missing = missingFlags({ name: "read", path }, { name: "write", path });
  return missing.length > 0 ? undefined : `${path}/nodes/${nodeId}`;
}

/** The data directory, if its files may be read and written. */
function usableDirectory(
  { dataDirectory: path, logger }: ResolvedOptions,
  holdsKey: boolean,
): string | undefined {
  const missing = path === undefined
    ? missingHomeFlags()
    : missingFlags({ name: "read", path }, { name: "write", path });
  if (missing.length === 0 && path !== undefined) {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }
  if (!holdsKey) return undefined;
  logger.warn(
    "This node has a network of its own that ends with it: the key cannot be kept. {mend}",
    {
      mend: missing.length > 0
        ? `Grant ${missing.join(" ")}`
        : "No home is set: give a dataDirectory",
    },
  );
  return undefined;
}
