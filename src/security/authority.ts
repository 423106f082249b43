/**
 * The certificate authority that a secret is: whoever knows the secret can derive it, sign a
 * certificate for a key pair of its own, and believe those of the others.
 */

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { Buffer } from "node:buffer";
import { createECDH } from "node:crypto";
import type { CertificateRole } from "./certificate_role.ts";

const SIGNING = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** The order of P-256 (FIPS 186-5). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** Machines without a clock wake in 1970 and must be able to join; a key's epoch ends instead. */
const NOT_BEFORE = new Date(0);
const NOT_AFTER = new Date(Date.UTC(9999, 11, 31, 23, 59, 59));

/** What is to be certified. */
export interface CertificateRequest {
  /** As many bytes as `AUTHORITY_SECRET_BYTES` says. */
  readonly secret: Uint8Array;
  /** The DNS name that clients check, and ask for in the ClientHello. */
  readonly serverName: string;
  /** The node's label, or what a program is called. */
  readonly label: string;
  /** Of the node, as DER (SubjectPublicKeyInfo). */
  readonly publicKey: Uint8Array;
  /**
   * A `client` may only call: it bears no name that it would be asked for by.
   *
   * @default {"node"}
   */
  readonly role?: CertificateRole;
}

/** Both as PEM. */
export interface Certified {
  /** The authority's own certificate: whom to believe. */
  readonly authority: string;
  /** What to show. */
  readonly certificate: string;
}

/** Derives the authority, signs, and forgets it. */
export async function certify(request: CertificateRequest): Promise<Certified> {
  const { secret, serverName, label, publicKey, role = "node" } = request;
  const keys = await authorityKeys(secret);
  const name = `CN=${serverName}`;
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    keys,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [label] }],
    issuer: name,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    publicKey: await x509.PublicKey.create(
      await crypto.subtle.importKey("spki", Uint8Array.from(publicKey), SIGNING, true, ["verify"]),
    ),
    signingKey: keys.privateKey,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ...role === "client"
        ? [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])]
        : [
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.serverAuth,
            x509.ExtendedKeyUsage.clientAuth,
          ]),
          new x509.SubjectAlternativeNameExtension([{ type: "dns", value: serverName }]),
        ],
      await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { authority: authority.toString("pem"), certificate: certificate.toString("pem") };
}

/** The key pair that a secret is: its scalar is the secret mod (n − 1) + 1 (FIPS 186-5, A.2.1). */
async function authorityKeys(secret: Uint8Array): Promise<CryptoKeyPair> {
  const scalar = BigInt(`0x${Buffer.from(secret).toString("hex")}`) % (ORDER - 1n) + 1n;
  const d = Buffer.from(scalar.toString(16).padStart(64, "0"), "hex");
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(d);
  const point = curve.getPublicKey();
  const jwk: JsonWebKey = {
    kty: "EC",
    crv: "P-256",
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33, 65).toString("base64url"),
  };
  const privateJwk = { ...jwk, d: d.toString("base64url") };
  return {
    privateKey: await crypto.subtle.importKey("jwk", privateJwk, SIGNING, false, ["sign"]),
    publicKey: await crypto.subtle.importKey("jwk", jwk, SIGNING, true, ["verify"]),
  };
}

/** 20 bytes that no other certificate has, the first bit zero (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  bytes[0] &= 0x7f;
  return Buffer.from(bytes).toString("hex");
}
