/** The TLS handshake of who connects: by the name that is asked for, with which credentials. */

import type net from "node:net";
import tls from "node:tls";
import { type Credentials, identityOf } from "../security/identity.ts";
import type { PeerCredential } from "../security/trust.ts";

/** What links need of who decides whom to trust. */
export interface LinkSecurity {
  /** The newest first; the same array as long as nothing changes. */
  credentials(): readonly Credentials[];
  /** Whether who connects must show a certificate that the authority has signed. */
  readonly verifiesPeers: boolean;
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

/** What becomes of a handshake. */
export interface GateHandler {
  /** It is of the network; undefined where nobody has to show anything. */
  onSecure(socket: tls.TLSSocket, peer: PeerCredential | undefined): void;
  onRefused(reason: "stranger" | "not-admitted", socket: net.Socket): void;
  /** It has an invite, and is served. */
  onJoining(socket: net.Socket): void;
}

/** See the top of the file. */
export class TlsGate {
  readonly #security: LinkSecurity;
  readonly #handler: GateHandler;
  #server: tls.Server | undefined;
  /** What the server was made of. */
  #members: readonly Credentials[] = [];
  #invites: readonly Credentials[] = [];

  constructor(security: LinkSecurity, handler: GateHandler) {
    this.#security = security;
    this.#handler = handler;
  }

  /** Takes a connection that has just come in. */
  take(socket: net.Socket): void {
    // A server that never listens: only as one of a server's does Deno check a certificate.
    this.#current().emit("connection", socket);
  }

  #current(): tls.Server {
    const members = this.#security.credentials();
    const invites = this.#security.joining?.credentials() ?? [];
    if (this.#server !== undefined && members === this.#members && invites === this.#invites) {
      return this.#server;
    }
    this.#members = members;
    this.#invites = invites;
    const contexts = new Map(
      [...members, ...invites].map((one) => [one.serverName, contextOf(one)]),
    );
    const [newest] = members;
    const { verifiesPeers } = this.#security;
    const server = tls.createServer({
      cert: newest.certificate,
      key: newest.privateKey,
      ca: newest.authority,
      requestCert: verifiesPeers,
      rejectUnauthorized: verifiesPeers,
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.3",
      // Who asks for no name that is known is shown the newest; so do clients that are no nodes.
      SNICallback: (name, choose) => choose(null, contexts.get(name)),
    });
    server.on("secureConnection", (socket) => {
      socket.on("error", () => {});
      this.#judge(socket, members, invites);
    });
    server.on("tlsClientError", (_, socket) => this.#handler.onRefused("stranger", socket));
    return this.#server = server;
  }

  #judge(
    socket: tls.TLSSocket,
    members: readonly Credentials[],
    invites: readonly Credentials[],
  ): void {
    const asked = (socket as { servername?: string | false }).servername;
    const invite = invites.find(({ serverName }) => serverName === asked);
    const used = invite ?? members.find(({ serverName }) => serverName === asked) ?? members[0];
    if (!this.#security.verifiesPeers) return this.#handler.onSecure(socket, undefined);
    const peer = socket.authorized ? peerCredential(socket.getPeerCertificate(), used) : undefined;
    if (peer === undefined) return this.#handler.onRefused("stranger", socket);
    if (invite !== undefined) {
      this.#handler.onJoining(socket);
      return this.#security.joining!.serve(socket, peer);
    }
    if (!this.#security.admits(peer)) return this.#handler.onRefused("not-admitted", socket);
    this.#handler.onSecure(socket, peer);
  }
}

/** Who has shown that certificate; undefined when it says no name. */
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
  const names = [...(typeof common === "string" ? [common] : []), ...dns];
  if (raw === undefined || names.length === 0) return undefined;
  return { identity: identityOf(raw), names: [...new Set(names)], tag };
}

function contextOf({ authority, certificate, privateKey }: Credentials): tls.SecureContext {
  return tls.createSecureContext({ ca: authority, cert: certificate, key: privateKey });
}
