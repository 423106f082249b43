/** Invites: secrets that are good for one device and ten minutes. */

import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { AuthorityRequest, Credentials, NodeIdentity } from "./identity.ts";
import { AUTHORITY_SECRET_BYTES, deriveSecret, TAG_BYTES } from "./network_key.ts";

/** Of an invite's secret. */
export const INVITE_BYTES = 16;
/** For how long an invite is good, in milliseconds: time to walk to the other device. */
export const INVITE_FOR_MS = 10 * 60 * 1_000;
/** For how long it is still known after that, to say what has become of it. */
const REMEMBERED_FOR_MS = 24 * 60 * 60 * 1_000;
/** Invites that are known at a time, those that are over included. */
const MAX_INVITES = 64;

/** What an invite is worth to who shows it. */
export type InviteVerdict = "good" | "used" | "expired";

interface Invite {
  readonly credentials: Credentials;
  readonly expiresAt: number;
  /** The key pair that it belongs to, once one has come. */
  owner: string | undefined;
  isUsed: boolean;
}

/** See the top of the file. Times are of the clock that does not jump. */
export class Invites {
  readonly #clock: Clock;
  readonly #identity: NodeIdentity;
  readonly #label: string;
  #invites: readonly Invite[] = [];
  #credentials: readonly Credentials[] = [];

  /**
   * @param identity Of this node: those who are invited know its fingerprint.
   * @param label Of this node.
   */
  constructor(clock: Clock, identity: NodeIdentity, label: string) {
    this.#clock = clock;
    this.#identity = identity;
    this.#label = label;
  }

  /**
   * Makes one.
   *
   * @param validMs For how long it is good, in milliseconds.
   * @returns Its secret.
   */
  async make(validMs: number = INVITE_FOR_MS): Promise<Uint8Array> {
    const secret = new Uint8Array(randomBytes(INVITE_BYTES));
    const credentials = await this.#identity.certified(inviteAuthority(secret, this.#label));
    const now = this.#clock.now();
    const known = this.#invites.filter(({ expiresAt }) => now < expiresAt + REMEMBERED_FOR_MS);
    const made: Invite = {
      credentials,
      expiresAt: now + validMs,
      owner: undefined,
      isUsed: false,
    };
    this.#invites = [...known, made].slice(-MAX_INVITES);
    this.#credentials = this.#invites.map((one) => one.credentials);
    return secret;
  }

  /** What is shown to who asks for one of them; the same array as long as nothing changes. */
  credentials(): readonly Credentials[] {
    return this.#credentials;
  }

  /**
   * Somebody shows that it knows the secret of the invite with that tag; the first one has it.
   *
   * @param owner The identity of its key pair.
   */
  claim(tag: string, owner: string): InviteVerdict {
    const invite = this.#find(tag);
    if (invite === undefined) return "expired";
    if (invite.isUsed || (invite.owner !== undefined && invite.owner !== owner)) return "used";
    if (this.#clock.now() >= invite.expiresAt) return "expired";
    invite.owner = owner;
    return "good";
  }

  /** Who has claimed it has what it came for. */
  use(tag: string): void {
    const invite = this.#find(tag);
    if (invite !== undefined) invite.isUsed = true;
  }

  #find(tag: string): Invite | undefined {
    return this.#invites.find(({ credentials }) => credentials.tag === tag);
  }
}

/**
 * The authority that an invite's secret is, for both sides.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is no such secret.
 */
export function inviteAuthority(secret: Uint8Array, label: string): AuthorityRequest {
  if (secret.length !== INVITE_BYTES) {
    throw new NetworkError("INVALID_ARGUMENT", "Cannot use the invite: its secret is cut off.");
  }
  const tag = Buffer.from(deriveSecret(secret, "invite-tag", TAG_BYTES)).toString("hex");
  return {
    tag,
    serverName: `${tag}.join.hanzo-network`,
    secret: deriveSecret(secret, "invite-authority", AUTHORITY_SECRET_BYTES),
    label,
  };
}
