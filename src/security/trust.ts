/** Whom a node talks to, and by what it shows itself: the port of the three ways to decide that. */

import { NetworkError } from "../base/errors.ts";
import type { NetworkKey } from "./network_key.ts";
import type { KnownNodes } from "./known_nodes.ts";
import type { Credentials } from "./identity.ts";

/**
 * - `keyed`: whoever has the network's key.
 * - `tls`: whoever the operator's own authority has certified.
 * - `open`: whoever is near, in the clear.
 */
export type TrustMode = "keyed" | "tls" | "open";

/** Who is on the other side of a connection, by its certificate. */
export interface PeerCredential {
  /** SHA-256 of the public key, in hexadecimal digits. */
  readonly identity: string;
  /** The labels that the certificate is for. */
  readonly names: readonly string[];
  /** Of the credentials that both sides used. */
  readonly tag: string;
  /** Whether it may only call, and is no node's: see {@linkcode certificateRole}. */
  readonly isClient?: boolean;
}

/** What is wrong with what a node shows, or will be soon. */
export interface TrustProblem {
  /** `error`: others refuse it. */
  readonly severity: "warning" | "error";
  readonly message: string;
  /** What to do about it. */
  readonly mend: string;
}

/** See the top of the file. */
export interface Trust {
  readonly mode: TrustMode;
  /** Who this node is; undefined in the clear. */
  readonly identity: string | undefined;
  /** Who was seen under which label; undefined where an authority vouches for labels. */
  readonly known: KnownNodes | undefined;
  /** The newest first; the same array as long as nothing changes. Empty in the clear. */
  credentials(): readonly Credentials[];
  /** Whether who connects must show a certificate that the authority has signed. */
  readonly verifiesPeers: boolean;
  /** The keys that beacons are sealed with, the newest first; undefined when they are in the clear. */
  keys(): readonly NetworkKey[] | undefined;
  /** Whether this peer is one of the network now. */
  admits(peer: PeerCredential): boolean;
  /**
   * Checks that a peer is the one that it says it is, and remembers it.
   *
   * @param host Where it is linked from.
   * @throws {NetworkError} `PERMISSION_DENIED`; `NAME_CONFLICT` when another one has its label.
   */
  vouch(nodeId: string, peer: PeerCredential | undefined, host: string): void;
  /** The label for which it would be vouched now, where the certificate alone says that. */
  expects?(peer: PeerCredential): string | undefined;
  /** What is wrong now with what this node shows; nothing where it makes that itself. */
  problems?(): readonly TrustProblem[];
  /** Calls back whenever the credentials or who is admitted have changed. */
  start(onChange: () => void): void;
  /** Resolves when nothing more is written; idempotent. */
  stop(): Promise<void>;
}

/** The refusal of who may only call, where it would be a node. */
export function noNode(name: string): NetworkError {
  return new NetworkError(
    "PERMISSION_DENIED",
    `Cannot link to "${name}": its certificate is one for programs that only call. Let a device ` +
      `join: hanzo-network invite here, hanzo-network join there.`,
  );
}
