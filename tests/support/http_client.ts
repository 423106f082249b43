/** Clients of an HTTP server that say what the test wants them to say, and no more. */

import { soon } from "./soon.ts";

/** What was answered. */
export interface HttpAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** One connection. */
export class HttpClient implements Disposable {
  readonly #conn: Deno.TcpConn;
  readonly #buffer = new Uint8Array(65_536);
  #text = "";
  #isClosed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async connect(port: number): Promise<HttpClient> {
    return new HttpClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#conn.write(bytes.subarray(sent));
    }
  }

  /** The next answer, whose length must be known. */
  async answer(): Promise<HttpAnswer> {
    for (;;) {
      const end = this.#text.indexOf("\r\n\r\n") + 4;
      const head = this.#text.slice(0, end);
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
      if (end > 3 && this.#text.length >= end + length) {
        const body = this.#text.slice(end, end + length);
        this.#text = this.#text.slice(end + length);
        return { status: Number(head.split(" ")[1]), head, body };
      }
      if (!await this.#read()) throw new Error(`The connection ended: ${this.#text}`);
    }
  }

  /** All that has come and was no answer yet, when it has that text in it. */
  async until(text: string): Promise<string> {
    while (!this.#text.includes(text)) {
      if (!await this.#read()) throw new Error(`The connection ended: ${this.#text}`);
    }
    return this.#text;
  }

  /** All that comes until the server closes the connection. */
  async rest(): Promise<string> {
    while (await this.#read());
    return this.#text;
  }

  close(): void {
    if (!this.#isClosed) this.#conn.close();
    this.#isClosed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #read(): Promise<boolean> {
    const count = await soon(this.#conn.read(this.#buffer), "bytes from the server");
    this.#text += new TextDecoder().decode(this.#buffer.subarray(0, count ?? 0));
    return count !== null;
  }
}

/** Many connections that say one thing, and then stay as long as they may. */
export class HttpCrowd implements AsyncDisposable {
  readonly #port: number;
  readonly #said: Uint8Array;
  readonly #conns = new Set<Deno.TcpConn>();
  readonly #held = new Set<Promise<void>>();

  constructor(port: number, said: string) {
    this.#port = port;
    this.#said = new TextEncoder().encode(said);
  }

  /** Connects as many as are missing to `count`; those that the server closes are missing again. */
  async fill(count: number): Promise<void> {
    const missing = Array.from({ length: count - this.#conns.size }, () => this.#connect());
    await Promise.all(missing);
  }

  /** All of them go. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const conn of this.#conns) close(conn);
    await Promise.all(this.#held);
  }

  async #connect(): Promise<void> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
    this.#conns.add(conn);
    const held = this.#hold(conn).finally(() => {
      this.#conns.delete(conn);
      this.#held.delete(held);
      close(conn);
    });
    this.#held.add(held);
  }

  async #hold(conn: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(1_024);
    try {
      if (this.#said.length > 0) await conn.write(this.#said);
      while (await conn.read(buffer) !== null);
    } catch {
      // It was closed, here or there.
    }
  }
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.BadResource)) throw thrown;
  }
}
