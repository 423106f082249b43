/** Nodes of one network as their connections show them, without a network around them. */

import type { LinkSecurity } from "../../src/link/tls_gate.ts";
import { NodeIdentity } from "../../src/security/identity.ts";
import type { NetworkKey } from "../../src/security/network_key.ts";

/** One that shows a certificate under `key` and admits whoever does. */
export async function memberOf(key: NetworkKey, label: string): Promise<LinkSecurity> {
  const credentials = [await NodeIdentity.create().credentials(key, label)];
  return { credentials: () => credentials, verifiesPeers: true, admits: () => true };
}

/** Two of them. */
export async function membersOf(
  key: NetworkKey,
  server: string,
  client: string,
): Promise<{ server: LinkSecurity; client: LinkSecurity }> {
  return { server: await memberOf(key, server), client: await memberOf(key, client) };
}
