/**
 * Somebody in the middle who records what a device sends while it joins, to send it once more.
 *
 * @module
 */

interface Address {
  host: string;
  port: number;
}

/** See the top of the file. */
export class Recorder {
  readonly #listener: Deno.TcpListener;
  readonly #sent: Uint8Array[] = [];
  #answered = 0;

  private constructor(listener: Deno.TcpListener) {
    this.#listener = listener;
  }

  /** Stands between who dials {@linkcode Recorder.address} and `target`. */
  static of(target: Address): Promise<Recorder> {
    const recorder = new Recorder(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
    void recorder.#relay(target);
    return Promise.resolve(recorder);
  }

  /** Where the victim dials. */
  get address(): Address {
    const { hostname, port } = this.#listener.addr;
    return { host: hostname, port };
  }

  /** Takes no more connections. */
  close(): void {
    this.#listener.close();
  }

  /**
   * Sends what was recorded to `target` once more.
   *
   * @throws {Error} When less comes back than came the first time.
   */
  async replay(target: Address): Promise<void> {
    const connection = await Deno.connect({ hostname: target.host, port: target.port });
    for (const bytes of this.#sent) await writeAll(connection, bytes).catch(() => {});
    let received = 0;
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const count = await connection.read(buffer).catch(() => null);
      if (count === null) break;
      received += count;
    }
    connection.close();
    if (received < this.#answered) throw new Error("It was not answered as before.");
  }

  async #relay(target: Address): Promise<void> {
    for await (const near of this.#listener) {
      const far = await Deno.connect({ hostname: target.host, port: target.port });
      void pump(near, far, (bytes) => this.#sent.push(bytes));
      void pump(far, near, (bytes) => this.#answered += bytes.length);
    }
  }
}

async function pump(
  from: Deno.Conn,
  to: Deno.Conn,
  see: (bytes: Uint8Array) => void,
): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const count = await from.read(buffer).catch(() => null);
    if (count === null) break;
    const bytes = buffer.slice(0, count);
    see(bytes);
    await writeAll(to, bytes).catch(() => {});
  }
  try {
    to.close();
  } catch {
    // The other direction has closed it.
  }
}

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
