/**
 * How a device joins: over TLS under an invite's authority, one line of JSON with the keyring one
 * way, and one that says that it is kept the other way.
 */

import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { parseWith } from "../base/schema.ts";
import { withTimeLimit } from "../base/time_limit.ts";
import { FINGERPRINT_BYTES, identityOf, NodeIdentity } from "../security/identity.ts";
import { inviteAuthority, type Invites, type InviteVerdict } from "../security/invites.ts";
import { decodeKeyring, type Keyring } from "../security/keyring.ts";
import type { PeerCredential } from "../security/trust.ts";
import { dialAny } from "./dial_any.ts";
import { type Address, formatAddress, hostOf } from "./frame_stream.ts";
import { connectTime } from "./round_trip.ts";
import type { JoiningPort } from "./tls_gate.ts";

/** The longest line with a keyring. */
const MAX_ANSWER_BYTES = 2 * 1024 * 1024;
/** The longest of a joiner: it may have no more than an invite that is used. */
const MAX_WORDS_BYTES = 64;
/** How long the other side may take, in milliseconds. */
const PATIENCE_MS = 10_000;
/** How long the system of the other side may take to answer at all. */
const ANSWER_MS = 5_000;
/** The joiner's first line. */
const ASK = '{"join":1}';
/** Its second: the keyring is kept. */
const KEPT = '{"kept":true}';

interface Answer {
  verdict: InviteVerdict;
  keyring?: string;
}

const answerSchema: z.ZodType<Answer> = z.object({
  verdict: z.enum(["good", "used", "expired"]),
  keyring: z.string().optional(),
});

/** What the inviting side is made of. */
export interface JoiningOptions {
  readonly invites: Invites;
  /** The keyring, as text. */
  readonly handout: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Serves those who have an invite. */
export function joiningPort(options: JoiningOptions): JoiningPort {
  const { invites, clock } = options;
  return {
    credentials: () => invites.credentials(),
    serve(socket, peer) {
      const cancel = clock.after(PATIENCE_MS, () => socket.destroy());
      socket.once("close", cancel);
      serveJoiner(socket, peer, options).catch((thrown) => {
        options.logger.debug("A device did not join: {reason}", { reason: describeError(thrown) });
        socket.destroy();
      });
    },
  };
}

async function serveJoiner(
  socket: tls.TLSSocket,
  { tag, identity, names }: PeerCredential,
  { invites, handout, logger }: JoiningOptions,
): Promise<void> {
  const host = hostOf(`${socket.remoteAddress}:${socket.remotePort}`);
  const lines = new Lines(socket, MAX_WORDS_BYTES);
  // Only who has seen that this is the inviter asks, and only then the invite is its own.
  if (await lines.next() !== ASK) throw new NetworkError("PROTOCOL", "It asked for nothing.");
  const verdict = invites.claim(tag, identity);
  if (verdict !== "good") {
    logger.warn("A device at {host} came with an invite that is {verdict}", { host, verdict });
    return void socket.end(`${JSON.stringify({ verdict } satisfies Answer)}\n`);
  }
  socket.write(`${JSON.stringify({ verdict, keyring: handout() } satisfies Answer)}\n`);
  if (await lines.next() !== KEPT) throw new NetworkError("PROTOCOL", "It did not keep the key.");
  invites.use(tag);
  logger.info('"{name}" at {host} has joined by an invite', { name: names[0], host });
  socket.end();
}

/** An invite, as a code carries it. */
export interface InviteCode {
  readonly secret: Uint8Array;
  /** The first bytes of SHA-256 of the inviter's public key. */
  readonly fingerprint: Uint8Array;
  /** Where the inviter is. */
  readonly addresses: readonly Address[];
}

/** What the joining side needs besides. */
export interface JoinNeeds {
  /** What this device is called, for the inviter's log: a label. */
  readonly name: string;
  /** Keeps the keyring; the invite is used up when it resolves, and not when it rejects. */
  readonly keep: (ring: Keyring) => Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Asks the inviter for the keyring of its network.
 *
 * @throws {NetworkError} `UNAVAILABLE` when the inviter cannot be reached; `PERMISSION_DENIED` when
 * the invite is used, expired or not known there, or somebody else answers.
 */
export async function joinByInvite(code: InviteCode, needs: JoinNeeds): Promise<Keyring> {
  const { clock, signal, name, keep } = needs;
  if (code.addresses.length === 0) {
    throw new NetworkError("UNAVAILABLE", "Cannot join: the code says no address of the inviter.");
  }
  const authority = inviteAuthority(code.secret, name);
  const shown = await NodeIdentity.create().certified(authority);
  const socket = await dialAny(code.addresses, async (address, signal) => {
    await withTimeLimit(
      { clock, limitMs: ANSWER_MS, error: () => noAnswer(address, ANSWER_MS), signal },
      (signal) => connectTime(address, signal),
    );
    return await connect(address, { ...shown, fingerprint: code.fingerprint }, clock, signal);
  }, { clock, signal });
  const cancel = clock.after(PATIENCE_MS, () => socket.destroy());
  const onAbort = () => socket.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const lines = new Lines(socket, MAX_ANSWER_BYTES);
    socket.write(`${ASK}\n`);
    const answer = parseAnswer(await lines.next());
    if (answer.verdict !== "good") throw refused(answer.verdict);
    const ring = decodeKeyring(new TextEncoder().encode(answer.keyring));
    await keep(ring);
    socket.end(`${KEPT}\n`);
    await ended(socket);
    return ring;
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw NetworkError.from(thrown, "UNAVAILABLE", "Cannot join: the inviter broke off");
  } finally {
    cancel();
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}

function connect(
  address: Address,
  shown: {
    serverName: string;
    authority: string;
    certificate: string;
    privateKey: string;
    fingerprint: Uint8Array;
  },
  clock: Clock,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  const target = formatAddress(address);
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket = tls.connect({
      host: address.host,
      port: address.port,
      servername: shown.serverName,
      ca: shown.authority,
      cert: shown.certificate,
      key: shown.privateKey,
      minVersion: "TLSv1.3",
      checkServerIdentity: (_, { raw }) =>
        isFrom(raw, shown.fingerprint) ? undefined : new Error(SOMEBODY_ELSE),
    });
    const settle = (error?: unknown) => {
      cancel();
      signal.removeEventListener("abort", onAbort);
      if (error === undefined) return resolve(socket);
      socket.destroy();
      reject(error);
    };
    const cancel = clock.after(PATIENCE_MS, () => settle(noAnswer(address, PATIENCE_MS)));
    const onAbort = () => settle(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("error", (cause) => settle(handshakeError(target, cause)));
    socket.once("secureConnect", () => settle());
  });
}

function noAnswer(address: Address, withinMs: number): NetworkError {
  return new NetworkError(
    "UNAVAILABLE",
    `Cannot join: nothing at ${formatAddress(address)} answers within ${withinMs / 1_000} s. Is ` +
      `the device that showed the code on, in the same network as this one, and does its firewall ` +
      `let TCP port ${address.port} through?`,
  );
}

const SOMEBODY_ELSE = "somebody else";

/** Whether the certificate is of the public key that the code names. */
function isFrom(certificate: Uint8Array, fingerprint: Uint8Array): boolean {
  const expected = Buffer.from(fingerprint).toString("hex");
  return expected.length >= 2 * FINGERPRINT_BYTES && identityOf(certificate).startsWith(expected);
}

function handshakeError(target: string, cause: Error): NetworkError {
  const reason = describeError(cause);
  if (reason.includes(SOMEBODY_ELSE)) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `Cannot join: at ${target} is not the device that showed the code. Ask it for a new one.`,
      { cause },
    );
  }
  // The device is there, and does not take the invite's name: then TLS fails.
  return new NetworkError(
    "PERMISSION_DENIED",
    `Cannot join: the device at ${target} does not know this code. It is of another network, a ` +
      `day old, or that device was started anew since. Ask for a new one: hanzo-network invite ` +
      `(${reason})`,
    { cause },
  );
}

function refused(verdict: "used" | "expired"): NetworkError {
  return new NetworkError(
    "PERMISSION_DENIED",
    verdict === "used"
      ? "Cannot join: the code has been used. Each is good for one device; ask for a new one: " +
        "hanzo-network invite"
      : "Cannot join: the code has expired. Ask for a new one: hanzo-network invite",
  );
}

function parseAnswer(line: string): Answer {
  const action = "Cannot read the inviter's answer";
  let value: unknown;
  try {
    value = parseBoundedJson(new TextEncoder().encode(line), {
      maxBytes: MAX_ANSWER_BYTES,
      maxDepth: 4,
    });
  } catch {
    // Not the reason's words: they quote what is around the fault, and that may be a key.
    throw new NetworkError("PROTOCOL", `${action}: it is no JSON. Ask for a new code.`);
  }
  return parseWith(answerSchema, value, "PROTOCOL", action);
}

/** What the other side sends, line by line. */
class Lines {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #maxBytes: number;
  #rest = Buffer.alloc(0);

  constructor(socket: Duplex, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  /** The next one. Whoever may wait for ever destroys the socket after a while. */
  async next(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end !== -1) {
        const line = this.#rest.subarray(0, end).toString();
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      const { done, value } = await this.#chunks.next();
      if (done) throw new NetworkError("UNAVAILABLE", "the connection broke");
      this.#rest = Buffer.concat([this.#rest, value]);
      if (this.#rest.length > this.#maxBytes) {
        throw new NetworkError("PROTOCOL", "a line is too long");
      }
    }
  }
}

function ended(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) return resolve();
    socket.once("close", () => resolve());
  });
}
