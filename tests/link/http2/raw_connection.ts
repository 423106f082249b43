/** A connection to a node on which a test says what it likes, byte by byte. */

import type { Credentials } from "../../../src/security/identity.ts";
import { deadline } from "../../support/deadline.ts";
import { join, PREFACE, settings } from "../goaway/frames.ts";
import { Windows } from "./windows.ts";

/** What every client of HTTP/2 begins with. */
export const HELLO: Uint8Array = join(PREFACE, settings());

/** How many bytes are written at a time: a flood must not keep the test from its timers. */
const SEGMENT_BYTES = 64 * 1024;

/** See the top of the file. Disposing of it closes it. */
export class RawConnection implements Disposable {
  readonly #conn: Deno.Conn;
  readonly #ended = Promise.withResolvers<void>();
  readonly #windows = new Windows();
  #isOver = false;
  #received = 0;

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Connects, as a member where there are credentials. */
  static async open(
    port: number,
    member?: Credentials,
    { reads = true } = {},
  ): Promise<RawConnection> {
    const conn = member === undefined
      ? await Deno.connect({ hostname: "127.0.0.1", port })
      : await Deno.connectTls({
        hostname: "127.0.0.1",
        port,
        cert: member.certificate,
        key: member.privateKey,
        caCerts: [member.authority],
        alpnProtocols: ["h2"],
        unsafelyDisableHostnameVerification: true,
      });
    const connection = new RawConnection(conn);
    if (reads) void connection.#read();
    return connection;
  }

  /** Whether the other side has ended it, as far as is known here. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Bytes that came. */
  get received(): number {
    return this.#received;
  }

  /** Sends bytes; those that find nobody any more are lost. */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length && !this.#isOver;) {
        at += await this.#conn.write(bytes.subarray(at, at + SEGMENT_BYTES));
      }
    } catch {
      this.#end();
    }
  }

  /**
   * Sends frames with so much in DATA of stream 1, as soon as HTTP/2's flow control allows for them.
   */
  async writeAllowed(bytes: Uint8Array, inData: number): Promise<void> {
    await Promise.race([this.#windows.take(inData), this.#ended.promise]);
    await this.write(bytes);
  }

  /** Resolves to whether the other side ended it in time. */
  async endsWithin(ms: number): Promise<boolean> {
    using limit = deadline(ms);
    await limit.race(this.#ended.promise);
    return this.#isOver;
  }

  [Symbol.dispose](): void {
    this.#end();
    try {
      this.#conn.close();
    } catch {
      // It was closed before.
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let count; (count = await this.#conn.read(buffer)) !== null;) {
        this.#received += count;
        this.#windows.push(buffer.subarray(0, count));
      }
    } catch {
      // A reset is an end, too.
    }
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    this.#ended.resolve();
  }
}
