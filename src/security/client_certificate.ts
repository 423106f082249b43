/** What a program in another language shows to a node: a certificate that is good only for calling. */

import { createPublicKey } from "node:crypto";
import { NetworkError } from "../base/errors.ts";
import { serverNameOf } from "./identity.ts";
import { AUTHORITY_SECRET_BYTES, type NetworkKey } from "./network_key.ts";

/** What a program needs beside its private key; certificates are PEM. */
export interface ClientCertificate {
  /** Whom to believe. */
  readonly authority: string;
  /** What to show. */
  readonly certificate: string;
  /** The name to ask for in TLS, and to expect: addresses of nodes have none. */
  readonly serverName: string;
}

/** See {@linkcode KeyedTrust.certifyClient}. */
export async function clientCertificate(
  key: NetworkKey,
  label: string,
  publicKey: Uint8Array,
): Promise<ClientCertificate> {
  needP256(publicKey);
  const serverName = serverNameOf(key.tag);
  const secret = key.derive("authority", AUTHORITY_SECRET_BYTES);
  const { certify } = await import("./authority.ts");
  const made = await certify({ secret, serverName, label, publicKey, role: "client" });
  return { ...made, serverName };
}

/** What else there is, TLS would refuse only when the program comes. */
function needP256(publicKey: Uint8Array): void {
  let curve: string | undefined;
  try {
    const key = createPublicKey({ key: Uint8Array.from(publicKey), format: "der", type: "spki" });
    curve = key.asymmetricKeyDetails?.namedCurve;
  } catch {
    // It is no key at all.
  }
  if (curve === "prime256v1") return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    "Cannot certify a client: its public key is none on P-256, as SubjectPublicKeyInfo in DER.",
  );
}
