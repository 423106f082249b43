/**
 * Certificates of every kind that a node may be shown: honest, expired, of tomorrow, signed by
 * itself, by a stranger, or by a member for a name that is not its own.
 *
 * @module
 */

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { Buffer } from "node:buffer";
import { createECDH, sign } from "node:crypto";
import { type Credentials, serverNameOf } from "../../src/security/identity.ts";
import type { NetworkKey } from "../../src/security/network_key.ts";

/** Who signs. */
export interface TestAuthority {
  readonly keys: CryptoKeyPair;
  /** Its distinguished name. */
  readonly name: string;
  /** Its own certificate, as PEM. */
  readonly certificate: string;
}

/** Kinds of key pairs that a certificate may be for; nodes have P-256. */
export type KeyKind = "P-256" | "P-384" | "Ed25519" | "RSA";

/** What is to be certified. */
export interface Minting {
  /** Who signs; the certificate signs itself when there is nobody. */
  readonly authority?: TestAuthority;
  /** Its common name: none when empty. */
  readonly label?: string;
  readonly dnsNames?: readonly string[];
  /** @default {new Date(0)} */
  readonly notBefore?: Date;
  /** @default {the end of 9999} */
  readonly notAfter?: Date;
  /** @default {"P-256"} */
  readonly kind?: KeyKind;
  /** Whose certificate it is; a new one's by default. */
  readonly keys?: CryptoKeyPair;
  /** What the certificate may be used for; both by default. */
  readonly usages?: readonly ("server" | "client")[];
  /** Whether it may sign others. */
  readonly isAuthority?: boolean;
}

/** As PEM. */
export interface Minted {
  readonly certificate: string;
  readonly privateKey: string;
  readonly keys: CryptoKeyPair;
}

const EVER = { notBefore: new Date(0), notAfter: new Date(Date.UTC(9999, 11, 31, 23, 59, 59)) };

const ALGORITHMS = {
  "P-256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  "P-384": { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  "Ed25519": { name: "Ed25519" },
  "RSA": {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2_048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
} as const;

/** A new key pair. */
export async function newKeys(kind: KeyKind = "P-256"): Promise<CryptoKeyPair> {
  const usages: KeyUsage[] = ["sign", "verify"];
  return await crypto.subtle.generateKey(ALGORITHMS[kind], true, usages) as CryptoKeyPair;
}

/** An authority that nobody knows. */
export async function makeAuthority(name = "CN=somebody"): Promise<TestAuthority> {
  return await authorityOf(await newKeys(), name);
}

/**
 * The authority of a network, as every member can derive it. It is derived here once more, so that
 * a change in the program's own way shows: HKDF → 48 bytes mod (n − 1) + 1.
 */
export async function networkAuthority(key: NetworkKey): Promise<TestAuthority> {
  const secret = await hkdf(key.reveal(), "authority", 48);
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const scalar = BigInt(`0x${Buffer.from(secret).toString("hex")}`) % (order - 1n) + 1n;
  const d = Buffer.from(scalar.toString(16).padStart(64, "0"), "hex");
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(d);
  const point = curve.getPublicKey();
  const publicJwk = {
    kty: "EC",
    crv: "P-256",
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33, 65).toString("base64url"),
  };
  const algorithm = ALGORITHMS["P-256"];
  const privateJwk = { ...publicJwk, d: d.toString("base64url") };
  return await authorityOf({
    privateKey: await crypto.subtle.importKey("jwk", privateJwk, algorithm, true, ["sign"]),
    publicKey: await crypto.subtle.importKey("jwk", publicJwk, algorithm, true, ["verify"]),
  }, `CN=${serverNameOf(key.tag)}`);
}

/** HKDF-SHA256 with this program's salt, by WebCrypto instead of `node:crypto`. */
export async function hkdf(secret: Uint8Array, info: string, length: number): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", Uint8Array.from(secret), "HKDF", false, [
    "deriveBits",
  ]);
  const [salt, purpose] = ["hanzo-network/1", info].map((text) => new TextEncoder().encode(text));
  const algorithm = { name: "HKDF", hash: "SHA-256", salt, info: purpose };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, length * 8));
}

/** Makes a certificate. */
export async function mint(minting: Minting = {}): Promise<Minted> {
  const { authority, label = "node", dnsNames = [], kind = "P-256", isAuthority } = minting;
  const { usages = ["server", "client"] } = minting;
  const keys = minting.keys ?? await newKeys(kind);
  const subject = label === "" ? "" : [{ CN: [label] }];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: authority?.name ?? subject,
    notBefore: minting.notBefore ?? EVER.notBefore,
    notAfter: minting.notAfter ?? EVER.notAfter,
    publicKey: keys.publicKey,
    signingKey: authority?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: authority === undefined ? ALGORITHMS[kind] : ALGORITHMS["P-256"],
    extensions: [
      new x509.BasicConstraintsExtension(isAuthority ?? false, undefined, true),
      new x509.ExtendedKeyUsageExtension(
        usages.map((one) => x509.ExtendedKeyUsage[`${one}Auth`]),
      ),
      ...dnsNames.length === 0 ? [] : [
        new x509.SubjectAlternativeNameExtension(
          dnsNames.map((value) => ({ type: "dns" as const, value })),
        ),
      ],
    ],
  });
  return { certificate: certificate.toString("pem"), privateKey: await pemOf(keys), keys };
}

/**
 * The same certificate as one of version 1, signed anew: without the field that says its version, and
 * without extensions. That is what `openssl x509 -req` makes of a request when it is told no more.
 */
export async function asVersion1(pem: string, authority: TestAuthority): Promise<string> {
  const [signed] = fieldsOf(x509.PemConverter.decodeFirst(pem));
  const [whole, algorithm] = fieldsOf(signed);
  const fields = fieldsOf(whole).filter((one) => one[0] !== 0xa0 && one[0] !== 0xa3);
  const content = sequence(...fields);
  const signature = sign("sha256", content, await pemOf(authority.keys));
  const bits = sequence(new Uint8Array([0]), signature);
  bits[0] = 0x03;
  return x509.PemConverter.encode(sequence(content, algorithm, bits).buffer, "CERTIFICATE");
}

/** The values in a DER value, each with its header; of a buffer the one that it holds. */
function fieldsOf(der: Uint8Array | ArrayBuffer): Uint8Array<ArrayBuffer>[] {
  const isValue = der instanceof Uint8Array;
  const bytes = new Uint8Array(der);
  const fields: Uint8Array<ArrayBuffer>[] = [];
  for (let at = isValue ? headerOf(bytes).size : 0; at < bytes.length;) {
    const { size, length } = headerOf(bytes.subarray(at));
    fields.push(bytes.slice(at, at += size + length));
  }
  return fields;
}

function headerOf(der: Uint8Array): { size: number; length: number } {
  if (der[1] < 0x80) return { size: 2, length: der[1] };
  const more = der[1] & 0x7f;
  return {
    size: 2 + more,
    length: der.subarray(2, 2 + more).reduce((sum, one) => sum * 256 + one),
  };
}

function sequence(...fields: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = Buffer.concat(fields);
  const { length } = content;
  const size = length < 0x80 ? [length] : [0x82, length >> 8, length & 0xff];
  return new Uint8Array([0x30, ...size, ...content]);
}

/**
 * What a member shows that has made its certificate itself: it is of the network, and says
 * whatever it likes.
 */
export async function memberCredentials(key: NetworkKey, minting: Minting): Promise<Credentials> {
  const authority = await networkAuthority(key);
  const serverName = serverNameOf(key.tag);
  const { certificate, privateKey } = await mint({
    authority,
    ...minting,
    dnsNames: [serverName, ...minting.dnsNames ?? []],
  });
  return { tag: key.tag, serverName, authority: authority.certificate, certificate, privateKey };
}

/** What somebody shows whose certificate the network's authority has not signed. */
export async function strangerCredentials(
  key: NetworkKey,
  minting: Minting,
): Promise<Credentials> {
  const { certificate: authority } = await networkAuthority(key);
  const serverName = serverNameOf(key.tag);
  const { certificate, privateKey } = await mint({ ...minting, dnsNames: [serverName] });
  return { tag: key.tag, serverName, authority, certificate, privateKey };
}

async function authorityOf(keys: CryptoKeyPair, name: string): Promise<TestAuthority> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name,
    ...EVER,
    keys,
    signingAlgorithm: ALGORITHMS["P-256"],
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return { keys, name, certificate: certificate.toString("pem") };
}

async function pemOf({ privateKey }: CryptoKeyPair): Promise<string> {
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  return x509.PemConverter.encode(der.buffer, "PRIVATE KEY");
}

function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  bytes[0] &= 0x7f;
  return Buffer.from(bytes).toString("hex");
}
