/** Links over gRPC: the service `hanzo.network.v1.Network` of `proto/`, served and dialled. */

import type { ServerDuplexStream, ServiceError } from "@grpc/grpc-js";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type tls from "node:tls";
import { type Clock, systemClock } from "../base/clock.ts";
import type { Credentials } from "../security/identity.ts";
import type { PeerCredential } from "../security/trust.ts";
import { watchAnswers } from "./answered_calls.ts";
import {
  type Address,
  formatAddress,
  type FrameListener,
  type FrameStream,
  hostOf,
  type LinkTransport,
} from "./frame_stream.ts";
import { cuttable } from "./cut_connection.ts";
import { Front } from "./front.ts";
import { installGoawayGuard } from "./goaway_guard.ts";
import { GrpcFrameStream } from "./grpc_frame_stream.ts";
import { type GrpcService, proving } from "./grpc_service.ts";
import { MAX_FRAME_BYTES } from "./call.ts";
import { type MessageLimit, messageLimits } from "./message_limits.ts";
import { RECEIVE_WINDOW_BYTES, widenReceiveWindow } from "./receive_window.ts";
import { connectTime, notLinked } from "./round_trip.ts";
import { guardSession, type SessionGuard } from "./session_guard.ts";
import { type LinkSecurity, peerCredential } from "./tls_gate.ts";

const LINK_PATH = "/hanzo.network.v1.Network/Link";

const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  "grpc.max_receive_message_length": MAX_FRAME_BYTES,
  "grpc.max_send_message_length": MAX_FRAME_BYTES,
};

/** What every client of a node wants of gRPC. */
export const CLIENT_OPTIONS: grpc.ChannelOptions = {
  ...CHANNEL_OPTIONS,
  "grpc-node.flow_control_window": RECEIVE_WINDOW_BYTES,
  // A link goes to a device of the owner's, never through a proxy of the environment's.
  "grpc.enable_http_proxy": 0,
  // Each link has a connection of its own, so that closing the one closes the other.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  // A channel that could not connect tries again even when it is closed: once, so let it be now.
  "grpc.initial_reconnect_backoff_ms": 1,
  "grpc.service_config_disable_resolution": 1,
};

/** Nodes do not compress: what a link carries is small, or compressed already. */
const LINK_LIMIT: MessageLimit = {
  maxBytes: MAX_FRAME_BYTES,
  compressed: false,
  maxMessages: Infinity,
};
/** Of other services, nearly all of whose methods take one message: a question or the news. */
const SERVICE_LIMIT: MessageLimit = { maxBytes: 1024 * 1024, compressed: true, maxMessages: 1 };

const SERVER_OPTIONS: grpc.ServerOptions = {
  ...CHANNEL_OPTIONS,
  // A connection carries one link; the rest is room for clients in other languages.
  // Unlimited by default: 10,000 open streams cost 228 MB.
  "grpc.max_concurrent_streams": 16,
};

const identity = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const LINK_SERVICE = {
  Link: {
    path: LINK_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: (bytes: Buffer): Uint8Array => bytes,
    responseSerialize: identity,
    responseDeserialize: (bytes: Buffer): Uint8Array => bytes,
  },
} satisfies grpc.ServiceDefinition;

/** How {@linkcode grpcTransport} is to be. */
export interface GrpcTransportOptions {
  /**
   * What is served beside links wherever the transport listens, for clients that are no nodes.
   *
   * @default {[]}
   */
  readonly services?: readonly GrpcService[];
  /** Whom to talk to, and as whom; without it everything is in the clear. */
  readonly security?: LinkSecurity;
  /** @default {systemClock} */
  readonly clock?: Clock;
}

/** gRPC, over mutual TLS where there is a {@linkcode LinkSecurity}. */
export function grpcTransport(options: GrpcTransportOptions = {}): LinkTransport {
  installGoawayGuard();
  // It would print to the console what is thrown here as an error anyway.
  grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  return {
    dial: (...args) => dial(options, ...args),
    measure: connectTime,
    listen: (...args) => listen(options, ...args),
  };
}

async function dial(
  { security, clock = systemClock }: GrpcTransportOptions,
  address: Address,
  signal: AbortSignal,
): Promise<FrameStream> {
  // gRPC does not let go of a connection that is being made. So one that can be given up is made
  // first: a dial into the void, of which there may be many, ends here.
  await connectTime(address, signal);
  if (security === undefined) return await open(undefined, undefined, clock, address, signal);
  let refusal: unknown;
  // The other side may not have heard of the newest key yet.
  for (const credentials of security.credentials()) {
    try {
      return await open(security, credentials, clock, address, signal);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      // What the newest fails with tells most.
      refusal ??= thrown;
    }
  }
  throw refusal;
}

function open(
  security: LinkSecurity | undefined,
  shown: Credentials | undefined,
  clock: Clock,
  address: Address,
  signal: AbortSignal,
): Promise<FrameStream> {
  const target = formatAddress(address);
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    let credential: PeerCredential | undefined;
    const { credentials, cut, giveUp } = cuttable(
      shown === undefined
        ? grpc.credentials.createInsecure()
        : secured(shown, security!, (peer) => credential = peer),
    );
    const options = shown === undefined ? CLIENT_OPTIONS : {
      ...CLIENT_OPTIONS,
      "grpc.ssl_target_name_override": shown.serverName,
    };
    const client = new grpc.Client(target, credentials, options);
    const call = client.makeBidiStreamRequest(
      LINK_PATH,
      LINK_SERVICE.Link.requestSerialize,
      LINK_SERVICE.Link.responseDeserialize,
    );
    const onAbort = () => {
      call.off("error", onError).on("error", ignore);
      call.cancel();
      void giveUp(client).then(() => reject(signal.reason));
    };
    const onError = (cause: ServiceError) => {
      signal.removeEventListener("abort", onAbort);
      cut();
      client.close();
      const by = security === undefined ? "open" : security.isOwnTls ? "tls" : "keyed";
      reject(notLinked(target, cause.details || cause.message, by));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    call.once("error", onError);
    call.once("metadata", () => {
      signal.removeEventListener("abort", onAbort);
      call.off("error", onError);
      resolve(
        new GrpcFrameStream(call, address.host, credential, {
          clock,
          reset: () => call.cancel(),
          release: () => client.close(),
        }),
      );
    });
  });
}

/** Mutual TLS; `onPeer` is told who is there before a byte of HTTP/2 is sent. */
function secured(
  shown: Credentials,
  security: LinkSecurity,
  onPeer: (peer: PeerCredential) => void,
): grpc.ChannelCredentials {
  return grpc.credentials.createSsl(
    Buffer.from(shown.authority),
    Buffer.from(shown.privateKey),
    Buffer.from(shown.certificate),
    {
      rejectUnauthorized: security.verifiesPeers,
      // Instead of a look at the name: the authority is of one network, and addresses have none.
      checkServerIdentity: (_, certificate) => {
        const peer = peerCredential(certificate as tls.PeerCertificate, shown);
        // TLS itself takes no client's for a server's; this does not rest on it.
        if (peer === undefined || peer.isClient || !security.admits(peer)) {
          return new Error("its certificate does not count");
        }
        onPeer(peer);
        return undefined;
      },
    },
  );
}

async function listen(
  { services = [], security, clock = systemClock }: GrpcTransportOptions,
  address: Address,
  accept: (stream: FrameStream) => void,
): Promise<FrameListener> {
  const limitsByPath: Record<string, MessageLimit> = Object.assign(
    { [LINK_PATH]: LINK_LIMIT },
    ...services.map((one) => one.limits),
  );
  const limits = messageLimits({
    limitOf: (path) => Object.hasOwn(limitsByPath, path) ? limitsByPath[path] : SERVICE_LIMIT,
    clock,
    onFlood: (peer) => front.refuse("flood", peer),
  });
  const guards = new Map<string, SessionGuard>();
  const answers = watchAnswers((peer, stream) => guards.get(peer)?.answered(stream));
  const server = new grpc.Server({ ...SERVER_OPTIONS, interceptors: [limits, answers] });
  // TLS has been dealt with when a connection gets there.
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const front = await Front.listen({
    address,
    clock,
    security,
    onConnection: (socket, peer) => {
      guards.set(peer, guardSession(socket, clock, () => front.refuse("flood", peer)));
      socket.once("close", () => guards.delete(peer));
      injector.injectConnection(socket);
    },
  });
  server.addService(LINK_SERVICE, {
    Link(call: ServerDuplexStream<Uint8Array, Uint8Array>) {
      const from = call.getPeer();
      if (front.credentialOf(from)?.isClient) {
        const details = "This certificate is one for programs that only call, and no node's.";
        return call.emit("error", { code: grpc.status.PERMISSION_DENIED, details });
      }
      if (!front.prove(from, "link")) {
        const details = "This connection has a link, or its host too many.";
        return call.emit("error", { code: grpc.status.RESOURCE_EXHAUSTED, details });
      }
      widenReceiveWindow(call);
      // The dialler counts the link as made when these arrive.
      call.sendMetadata(new grpc.Metadata());
      accept(
        new GrpcFrameStream(call, hostOf(from), front.credentialOf(from), {
          clock,
          // gRPC has nothing harder for a call that it serves; closing the listener cuts it off.
          reset: () => call.end(),
          release: () => front.unlink(from),
        }),
      );
    },
  });
  for (const { definition, implementation } of services) {
    server.addService(definition, proving(implementation, front, guards, security));
  }
  return {
    address: front.address,
    report: () => front.report(),
    close() {
      // Links have said goodbye before; what is still open is not waited for.
      server.forceShutdown();
      front.close();
      return Promise.resolve();
    },
  };
}

function ignore(): void {}
