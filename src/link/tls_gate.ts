/** The TLS handshake of who connects: by the name that is asked for, with which credentials. */

import type net from "node:net";
import tls from "node:tls";
import { isLabel } from "../base/safe_text.ts";
import { certificateRole } from "../security/certificate_role.ts";
import { type Credentials, identityOf } from "../security/identity.ts";
import type { PeerCredential } from "../security/trust.ts";
import { awaitFirstWords } from "./client_hello.ts";

/** The same array each time: a server is costly to make. */
const NO_INVITES: readonly Credentials[] = [];
/** Older ones show certificates, and so who is there, in the clear. */
const MIN_VERSION = "TLSv1.3";

/** What links need of who decides whom to trust. */
export interface LinkSecurity {
  /** The newest first; the same array as long as nothing changes. */
  credentials(): readonly Credentials[];
  /** Whether who connects must show a certificate that the authority has signed. */
  readonly verifiesPeers: boolean;
  /**
   * Whether the certificates are of the operator's own authority: nobody can be invited then.
   *
   * @default {false}
   */
  readonly isOwnTls?: boolean;
  /** Whether this peer is one of the network now. */
  admits(peer: PeerCredential): boolean;
  /** Those who have no certificate of the network yet, and an invite. */
  readonly joining?: JoiningPort;
}

/** Takes who asks for the name of an invite. */
export interface JoiningPort {
  /** Of each invite that is known; the same array as long as nothing changes. */
  credentials(): readonly Credentials[];
  /** Serves one who has shown that it knows the secret of that invite. */
  serve(socket: tls.TLSSocket, peer: PeerCredential): void;
}

/** What becomes of a handshake; `socket` is the one that was taken. */
export interface GateHandler {
  /** It is of the network, undefined where nobody has to show anything; `secure` is its TLS. */
  onSecure(secure: tls.TLSSocket, peer: PeerCredential | undefined): void;
  onRefused(reason: "stranger" | "not-admitted", socket: net.Socket): void;
  /** It has an invite, and is served. */
  onJoining(socket: net.Socket): void;
}

/** Sockets that stand for one that was taken; Deno keeps it where Node does. */
type Standing = tls.TLSSocket & { _parent?: net.Socket };

/** See the top of the file. */
export class TlsGate {
  readonly #security: LinkSecurity;
  readonly #handler: GateHandler;
  /** By the name that they answer to, the one of the newest credentials first. */
  #servers = new Map<string, tls.Server>();
  /** What the servers were made of. */
  #members: readonly Credentials[] = [];
  #invites: readonly Credentials[] = NO_INVITES;

  constructor(security: LinkSecurity, handler: GateHandler) {
    this.#security = security;
    this.#handler = handler;
  }

  /**
   * Takes a connection that has just come in. TLS is begun only with who has said something of it:
   * strangers who do not cost next to nothing.
   */
  take(socket: net.Socket): void {
    awaitFirstWords(socket, (words) => {
      if (words === "no-hello") return this.#handler.onRefused("stranger", socket);
      const servers = this.#current();
      const [newest] = servers.values();
      // Who asks for no name that is known is shown the newest; so do clients that are no nodes.
      const server = servers.get(words.serverName ?? "") ?? newest;
      // A server that never listens: only as one of a server's does Deno check a certificate.
      server.emit("connection", socket);
    });
  }

  #current(): ReadonlyMap<string, tls.Server> {
    const members = this.#security.credentials();
    const invites = this.#security.joining?.credentials() ?? NO_INVITES;
    if (this.#servers.size > 0 && members === this.#members && invites === this.#invites) {
      return this.#servers;
    }
    this.#members = members;
    this.#invites = invites;
    return this.#servers = new Map(
      [...members, ...invites].map((one) => [
        one.serverName,
        this.#serverOf(one, invites.includes(one)),
      ]),
    );
  }

  /**
   * One for each, instead of one with an `SNICallback`: with that, Deno 2.9.6 never frees a
   * connection that ends before it has said hello.
   */
  #serverOf(credentials: Credentials, isInvite: boolean): tls.Server {
    const { verifiesPeers } = this.#security;
    const server = tls.createServer({
      cert: credentials.certificate,
      key: credentials.privateKey,
      ca: credentials.authority,
      requestCert: verifiesPeers,
      rejectUnauthorized: verifiesPeers,
      ALPNProtocols: ["h2"],
      minVersion: MIN_VERSION,
      // None of its own, 120 s by default: its timer, which nothing stops on Deno 2.9.6, holds all
      // that a connection took for so long after its end. The front has one of its own.
      handshakeTimeout: -1,
    });
    server.on("secureConnection", (socket) => {
      socket.on("error", () => {});
      this.#judge(socket, credentials, isInvite);
    });
    server.on("tlsClientError", (error, socket) => {
      if (isRefusal(error, socket)) this.#handler.onRefused("stranger", takenAs(socket));
    });
    return server;
  }

  #judge(socket: tls.TLSSocket, used: Credentials, isInvite: boolean): void {
    if (!this.#security.verifiesPeers) return this.#handler.onSecure(socket, undefined);
    const peer = socket.authorized ? peerCredential(socket.getPeerCertificate(), used) : undefined;
    if (peer === undefined) return this.#handler.onRefused("stranger", takenAs(socket));
    if (isInvite) {
      this.#handler.onJoining(takenAs(socket));
      return this.#security.joining!.serve(socket, peer);
    }
    if (!this.#security.admits(peer)) {
      return this.#handler.onRefused("not-admitted", takenAs(socket));
    }
    this.#handler.onSecure(socket, peer);
  }
}

/** The connection under that one. */
function takenAs(socket: Standing): net.Socket {
  return socket._parent ?? socket;
}

/** Whether this side ended a handshake: not whoever only looked whether anybody is there. */
function isRefusal(error: Error & { code?: string }, socket: tls.TLSSocket): boolean {
  // A certificate that does not count is told by this alone.
  const wasShown = socket.authorizationError as unknown;
  return (wasShown !== null && wasShown !== undefined) || error.code !== "ECONNRESET";
}

/** Who has shown that certificate; undefined when it says no name that one may have. */
export function peerCredential(
  { raw, subject, subjectaltname }: tls.PeerCertificate,
  { tag, serverName }: Credentials,
): PeerCredential | undefined {
  const common: unknown = subject?.CN;
  const dns = (subjectaltname ?? "").split(", ")
    // That one is the network's.
    .filter((name) => name.startsWith("DNS:") && name !== `DNS:${serverName}`)
    // The first part of a name: labels have no domain.
    .map((name) => name.slice(4).split(".")[0]);
  // A member can certify anything: what is no label is neither compared nor shown.
  const names = [...(typeof common === "string" ? [common] : []), ...dns].filter(isLabel);
  const identity = raw && identityIn(raw);
  if (identity === undefined || names.length === 0) return undefined;
  const isClient = certificateRole(raw) === "client";
  return { identity, names: [...new Set(names)], tag, ...(isClient && { isClient }) };
}

/** Undefined for a public key of a kind that cannot be read. */
function identityIn(certificate: Uint8Array): string | undefined {
  try {
    return identityOf(certificate);
  } catch {
    return undefined;
  }
}
