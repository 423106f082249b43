/** gRPC's connections, given up while they are being made so that nothing of them is left. */

import * as grpc from "@grpc/grpc-js";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers";
import { sleep, systemClock } from "../base/clock.ts";

/** How long a connection that is being made is waited for: it is cut as soon as it is there. */
const PATIENCE_MS = 1_000;
/** Longer than the first pauses of gRPC before it tries again. */
const BACKOFF_MS = 4;

/** Credentials with which connections can be cut. */
export interface Cuttable {
  readonly credentials: grpc.ChannelCredentials;
  /** Cuts what there is, and whatever is made from now on. */
  cut(): void;
  /** Cuts, closes the client, and resolves when no socket and no timer of gRPC's is left of it. */
  giveUp(client: grpc.Client): Promise<void>;
}

/**
 * Credentials whose connection can be cut before the other side has answered with HTTP/2. Closing a
 * channel then does not: gRPC keeps the connection that nobody answers, and one that it makes
 * afterwards.
 */
export function cuttable(credentials: grpc.ChannelCredentials): Cuttable {
  const sockets: Socket[] = [];
  let isCut = false;
  const end = Promise.withResolvers<never>();
  end.promise.catch(() => {});
  const createConnector = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (...args) => {
    const connector = createConnector(...args);
    const waitForReady = connector.waitForReady.bind(connector);
    const connect = connector.connect.bind(connector);
    connector.waitForReady = () => isCut ? end.promise : waitForReady();
    connector.connect = (socket) => {
      if (isCut) return end.promise;
      sockets.push(socket);
      // A handshake whose socket was destroyed would not end.
      return Promise.race([connect(socket), end.promise]);
    };
    return connector;
  };
  const cut = () => {
    isCut = true;
    end.reject(new Error("the dial was aborted"));
    for (const socket of sockets) socket.destroy();
  };
  const giveUp = async (client: grpc.Client) => {
    cut();
    // A channel that is closed before its target was resolved, which takes a turn of the loop and
    // may begin in the next one, would go on to connect.
    await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
    // One that is closed while it connects would leave the timer for the next address.
    await leaves(client.getChannel(), grpc.connectivityState.CONNECTING);
    client.close();
    // It may try twice more, and ends with the pause after that.
    for (let pauses = 0; pauses < 3; pauses++) await sleep(systemClock, BACKOFF_MS);
  };
  return { credentials, cut, giveUp };
}

type Watched = ReturnType<grpc.Client["getChannel"]>;

/** Resolves when a channel is in another state than this one, or the patience is over. */
function leaves(channel: Watched, state: grpc.connectivityState): Promise<void> {
  if (channel.getConnectivityState(false) !== state) return Promise.resolve();
  return new Promise((resolve) => {
    channel.watchConnectivityState(state, systemClock.wallTime() + PATIENCE_MS, () => resolve());
  });
}
