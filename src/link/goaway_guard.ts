/** Keeps a GOAWAY from a peer from taking the whole process down, on Deno's `node:http2`. */

import http2, { type Http2Session, type Http2Stream } from "node:http2";
import process from "node:process";
import { setImmediate } from "node:timers";

// The same for every copy of this module in a process: sessions must not be wrapped twice.
const INSTALLED = Symbol.for("@hanzo/network/goaway-guard");

type Http2Module = typeof http2 & { [INSTALLED]?: true };
type SessionMethod = (...args: unknown[]) => unknown;

/**
 * Makes every HTTP/2 session of this process survive a GOAWAY, whatever the peer puts into it.
 * Installed once, before the first connection; calling it again does nothing.
 *
 * In Deno 2.9.6 `node:http2` handles a GOAWAY while nghttp2 is still reading the bytes that carry
 * it: listeners run, the session is closed, with an error code destroyed, and thereby sends and
 * frees what nghttp2 goes on to use. The process then dies with exit code 139 or 134, clients and
 * servers alike (https://github.com/denoland/deno/issues/36788). So here the event, and every
 * `close` and `destroy` that follows from it, waits until the bytes have been read.
 *
 * The functions on the default export of `node:http2` are replaced, which is where grpc-js looks
 * them up at each call; `import { connect } from "node:http2"` is not covered.
 */
export function installGoawayGuard(): void {
  const module = http2 as Http2Module;
  if (module[INSTALLED]) return;
  module[INSTALLED] = true;

  const connect = module.connect as (...args: unknown[]) => Http2Session;
  const guardedConnect = (...args: unknown[]) => guard(connect(...args));
  module.connect = guardedConnect as typeof module.connect;

  for (const name of ["createServer", "createSecureServer"] as const) {
    const create = module[name] as (...args: unknown[]) => ReturnType<typeof module[typeof name]>;
    const guardedCreate = (...args: unknown[]) => create(...args).prependListener("session", guard);
    module[name] = guardedCreate as typeof module.createServer & typeof module.createSecureServer;
  }
}

function guard(session: Http2Session): Http2Session {
  const emit = session.emit as SessionMethod;
  // Whether the peer's SETTINGS came in this very turn of the event loop.
  let fresh = false;
  session.emit = (event: string, ...args: unknown[]): boolean => {
    if (event === "stream" && isOver(args[0] as Http2Stream)) return true;
    if (event === "goaway") {
      deferGoaway(session, fresh, () => emit.call(session, event, ...args));
      return true;
    }
    if (event === "remoteSettings" && !fresh) {
      fresh = true;
      setImmediate(() => fresh = false);
    }
    return emit.call(session, event, ...args) as boolean;
  };
  return session;
}

/**
 * Whether a stream that has just begun was reset meanwhile, or its session ended. To a method that
 * it does not have, grpc-js would answer all the same: that throws where nobody can catch it, and
 * ends the process.
 */
function isOver(stream: Http2Stream): boolean {
  if (!stream.destroyed && !stream.closed) return false;
  // Nobody else listens for the error that it may end with.
  stream.on("error", () => {});
  return true;
}

/** Emits the event, then does what was asked of the session meanwhile, once nghttp2 is done. */
function deferGoaway(session: Http2Session, fresh: boolean, emitGoaway: () => void): void {
  const asked: (() => void)[] = [];
  const methods = session as unknown as Record<string, SessionMethod>;
  for (const name of ["close", "destroy"]) {
    methods[name] = (...args) => void asked.push(() => methods[name](...args));
  }
  const deliver = () => {
    delete methods.close;
    delete methods.destroy;
    try {
      emitGoaway();
    } finally {
      for (const ask of asked) ask();
    }
  };
  // A GOAWAY right behind the peer's SETTINGS: grpc-js has taken the session into use, but begins
  // to listen for its end only some promises later, and retries calls on a session whose end it
  // has missed for ever, without a pause.
  if (fresh) setImmediate(deliver);
  else process.nextTick(deliver);
}
