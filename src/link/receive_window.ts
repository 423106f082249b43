/** How much of a link may be on its way to this side before it has read the first of it. */

import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { Http2Session, ServerHttp2Stream } from "node:http2";

/**
 * HTTP/2's own 64 KiB let whoever sends 4 KiB at a time wait for this side half of the time: 18,000
 * such runs a second with 256 in flight, 40,000 with this.
 */
export const RECEIVE_WINDOW_BYTES = 4 * 1024 * 1024;

/** What is used of grpc-js's own, from 1.10 to 1.14 at least. */
interface Internals {
  readonly call?: { readonly stream?: ServerHttp2Stream };
}

/** Not in Deno's types yet. */
type WindowedSession = Http2Session & { setLocalWindowSize?(bytes: number): void };

/**
 * Widens the window of a stream that this side serves, and of its connection. grpc-js has an option
 * for it, which its servers do not heed. Where its internals are not there, the link is only slower.
 */
export function widenReceiveWindow(call: ServerDuplexStream<unknown, unknown>): void {
  const session = (call as unknown as Internals).call?.stream?.session as
    | WindowedSession
    | undefined;
  if (session === undefined || session.destroyed) return;
  session.settings({ initialWindowSize: RECEIVE_WINDOW_BYTES });
  session.setLocalWindowSize?.(RECEIVE_WINDOW_BYTES);
}
