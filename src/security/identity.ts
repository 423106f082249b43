/** Who a node is: its key pair, and the certificates that say to which network it belongs. */

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { createPrivate, readPrivate, writePrivate } from "../base/private_file.ts";
import { parseWith } from "../base/schema.ts";
import { AUTHORITY_SECRET_BYTES, type NetworkKey, sha256Hex } from "./network_key.ts";

/** Of SHA-256 of a public key, in bytes: nobody finds another key with the same 128 bits. */
export const FINGERPRINT_BYTES = 16;

/** What one side of a connection shows and believes; all as PEM. */
export interface Credentials {
  /** Of the key that they are under: what they are asked for by. */
  readonly tag: string;
  /** The name in the ClientHello that chooses them, and that a server's certificate must bear. */
  readonly serverName: string;
  /** Whom to believe. */
  readonly authority: string;
  /** What to show. */
  readonly certificate: string;
  readonly privateKey: string;
}

interface IdentityBody {
  version: number;
  privateKey: string;
  certificates: { tag: string; label: string; authority: string; certificate: string }[];
}

const MAX_BYTES = 4 * 1024 * 1024;

const pem = z.string().max(16_384).startsWith("-----BEGIN ");
const schema: z.ZodType<IdentityBody> = z.object({
  version: z.literal(1),
  privateKey: pem,
  certificates: z.array(z.object({
    tag: z.string().regex(/^[0-9a-f]{16}$/),
    label: z.string().max(64),
    authority: pem,
    certificate: pem,
  })).max(64),
});

/** An authority, and what it is to certify of a node. */
export interface AuthorityRequest {
  /** What the authority is called. */
  readonly tag: string;
  readonly serverName: string;
  /** What it is derived from: as many bytes as `AUTHORITY_SECRET_BYTES` says. */
  readonly secret: Uint8Array;
  readonly label: string;
}

/** A node's key pair, and its certificate under each key that it was asked for. */
export class NodeIdentity {
  readonly #path: string | undefined;
  readonly #body: IdentityBody;
  /** SHA-256 of the public key, in hexadecimal digits: what others know it by. */
  readonly id: string;
  /** The public key as DER. */
  readonly publicKey: Uint8Array;

  private constructor(body: IdentityBody, publicKey: Uint8Array, path: string | undefined) {
    this.#body = body;
    this.#path = path;
    this.publicKey = publicKey;
    this.id = sha256Hex(publicKey);
  }

  /** A new one that ends with the process. */
  static create(): NodeIdentity {
    return NodeIdentity.#from({ version: 1, privateKey: newPrivateKey(), certificates: [] });
  }

  /**
   * The one that a file keeps; made when there is none.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` when the file is damaged: a new identity in its
   * place would be a stranger to all who know this node.
   */
  static async keep(path: string): Promise<NodeIdentity> {
    for (;;) {
      const kept = await readPrivate(path);
      if (kept !== undefined) return NodeIdentity.#from(readBody(path, kept.text), path);
      const made = NodeIdentity.create();
      await createPrivate(path, JSON.stringify(made.#body));
    }
  }

  static #from(body: IdentityBody, path?: string): NodeIdentity {
    return new NodeIdentity(body, publicKeyOf(body.privateKey), path);
  }

  /**
   * What to show and believe under a key. The certificate is signed at the first time and kept:
   * what signs is large, and the authority is not needed again.
   *
   * @param label Of the node; the certificate is for this name.
   */
  async credentials(key: NetworkKey, label: string): Promise<Credentials> {
    const { certificates, privateKey } = this.#body;
    const { tag } = key;
    const serverName = serverNameOf(tag);
    const kept = certificates.find((one) => one.tag === tag && one.label === label);
    if (kept !== undefined) {
      const { authority, certificate } = kept;
      return { tag, serverName, authority, certificate, privateKey };
    }
    const secret = key.derive("authority", AUTHORITY_SECRET_BYTES);
    const made = await this.certified({ tag, serverName, secret, label });
    const { authority, certificate } = made;
    certificates.push({ tag, label, authority, certificate });
    await this.#saveIfRoom();
    return made;
  }

  /** What to show and believe under any secret that is an authority; it is not kept. */
  async certified(request: AuthorityRequest): Promise<Credentials> {
    const { tag, serverName, secret, label } = request;
    const { certify } = await import("./authority.ts");
    const made = await certify({ secret, serverName, label, publicKey: this.publicKey });
    return { tag, serverName, ...made, privateKey: this.#body.privateKey };
  }

  /** Forgets the certificates under other keys than these. */
  async retain(tags: ReadonlySet<string>): Promise<void> {
    const { certificates } = this.#body;
    const kept = certificates.filter(({ tag }) => tags.has(tag));
    if (kept.length === certificates.length) return;
    this.#body.certificates = kept;
    await this.#saveIfRoom();
  }

  /** Certificates are signed again when they were not kept: no key fails because of them. */
  async #saveIfRoom(): Promise<void> {
    await this.#save().catch(() => {});
  }

  async #save(): Promise<void> {
    if (this.#path !== undefined) await writePrivate(this.#path, JSON.stringify(this.#body));
  }
}

/** The name under which a node of the network with this key is asked for. */
export function serverNameOf(tag: string): string {
  return `${tag}.hanzo-network`;
}

/**
 * Who shows a certificate.
 *
 * @param certificate As DER.
 * @returns SHA-256 of its public key, in hexadecimal digits.
 */
export function identityOf(certificate: Uint8Array): string {
  return sha256Hex(spkiOf(new X509Certificate(certificate).publicKey));
}

/** A new key pair on P-256, as PEM (PKCS #8). */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

function publicKeyOf(privateKey: string): Uint8Array {
  return spkiOf(createPublicKey(createPrivateKey(privateKey)));
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: "spki", format: "der" }));
}

function isSound(kept: IdentityBody["certificates"][number], id: string): boolean {
  try {
    const certificate = new X509Certificate(kept.certificate);
    const { publicKey } = new X509Certificate(kept.authority);
    return identityOf(certificate.raw) === id && certificate.verify(publicKey);
  } catch {
    return false;
  }
}

function readBody(path: string, text: string): IdentityBody {
  const action = `Cannot read the node's identity from ${path}`;
  try {
    const value = parseBoundedJson(new TextEncoder().encode(text), {
      maxBytes: MAX_BYTES,
      maxDepth: 4,
    });
    const body = parseWith(schema, value, "FAILED_PRECONDITION", action);
    if (createPrivateKey(body.privateKey).asymmetricKeyDetails?.namedCurve !== "prime256v1") {
      throw new Error("not on the curve of the authorities");
    }
    const id = sha256Hex(publicKeyOf(body.privateKey));
    // One that is damaged would be shown in vain; it is signed again.
    return { ...body, certificates: body.certificates.filter((one) => isSound(one, id)) };
  } catch {
    // Without the cause: its words may be of the key.
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `${action}: it is damaged. Restore it, or remove it: the node is then a new one, and needs ` +
        `another --node-id or "key forget" on the others.`,
    );
  }
}
