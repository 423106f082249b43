/**
 * Whoever knocks at a node's port, with TLS and without: what it shows is up to the test.
 *
 * @module
 */

import tls from "node:tls";

/** What a client of a test shows and asks for. */
export interface Knocking {
  readonly port: number;
  /** @default {"127.0.0.1"} */
  readonly host?: string;
  /** What it shows; nothing by default. */
  readonly shown?: { readonly certificate: string; readonly privateKey: string };
  /** The name in its ClientHello; none by default. */
  readonly serverName?: string;
  readonly maxVersion?: tls.SecureVersion;
  /** The protocols that it offers on top of TLS. */
  readonly protocols?: string[];
}

/** A connection whose client believes whatever it is shown. */
export interface Knock {
  /** The end of the connection, as the client sees it. */
  readonly ended: Promise<void>;
  /** What the server has shown, as DER; undefined before. */
  readonly serverCertificate: Uint8Array | undefined;
  close(): Promise<void>;
}

/** Knocks with TLS. */
export function knock(knocking: Knocking): Knock {
  const { host = "127.0.0.1", port, shown, serverName = "", maxVersion } = knocking;
  const socket = tls.connect({
    host,
    port,
    servername: serverName,
    cert: shown?.certificate,
    key: shown?.privateKey,
    rejectUnauthorized: false,
    ALPNProtocols: knocking.protocols ?? ["h2"],
    maxVersion,
  });
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  let serverCertificate: Uint8Array | undefined;
  socket.on("error", () => {});
  socket.on("close", () => resolve());
  socket.on("secureConnect", () => serverCertificate = socket.getPeerCertificate().raw);
  // Without a reader the end of the stream is never seen.
  socket.resume();
  return {
    ended,
    get serverCertificate() {
      return serverCertificate;
    },
    close() {
      socket.destroy();
      return ended;
    },
  };
}

/** The beginning of HTTP/2 in the clear. */
export const HTTP2_PREFACE: Uint8Array = new TextEncoder().encode(
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
);

/** Sends bytes without TLS; resolves to what comes back before the other side ends it. */
export async function knockPlainly(port: number, bytes: Uint8Array): Promise<Uint8Array> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const answer: number[] = [];
  try {
    await connection.write(bytes);
    const buffer = new Uint8Array(1_024);
    for (let length; (length = await connection.read(buffer)) !== null;) {
      answer.push(...buffer.subarray(0, length));
    }
  } catch {
    // A reset is an end, too.
  }
  return new Uint8Array(answer);
}
