/** Tells which calls of a server have been answered, so that nobody is blamed who then breaks off. */

import type * as grpc from "@grpc/grpc-js";
import type { ServerHttp2Stream } from "node:http2";

/** What is used of grpc-js's own, from 1.10 to 1.14 at least; where it is not there, none is told. */
interface Internals {
  readonly stream?: ServerHttp2Stream;
  sendStatus(status: unknown): void;
}

/**
 * An interceptor for one server.
 *
 * @param onAnswer Is told the connection, as gRPC names its other side, and the stream of HTTP/2,
 * before the end of the answer is sent.
 */
export function watchAnswers(
  onAnswer: (peer: string, stream: number) => void,
): grpc.ServerInterceptor {
  return (_, call) => {
    const internals = call as unknown as Internals;
    const { stream } = internals;
    if (stream !== undefined) {
      const sendStatus = internals.sendStatus.bind(call);
      internals.sendStatus = (status) => {
        if (stream.id !== undefined) onAnswer(call.getPeer(), stream.id);
        sendStatus(status);
      };
    }
    // As it is: one around it would cost each message of a link.
    return call as grpc.ServerInterceptingCall;
  };
}
