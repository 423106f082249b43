/** A node in memory with a real HTTP API on the loopback, and clients that obey no rules. */

import type { Agent } from "../../src/agents/agent.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";
import { type RecordingLogger, recordingLogger } from "../support/recording_logger.ts";
import { soon } from "../support/soon.ts";

export const TOKEN = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/** What a raw request was answered with. */
export interface RawAnswer {
  status: number;
  head: string;
  body: string;
}

/** See the top of the file. */
export class TestApi implements AsyncDisposable {
  readonly fleet: MemoryFleet;
  readonly node: MemoryNode;
  readonly gateway: Gateway;
  readonly log: RecordingLogger;

  private constructor(
    fleet: MemoryFleet,
    node: MemoryNode,
    gateway: Gateway,
    log: RecordingLogger,
  ) {
    this.fleet = fleet;
    this.node = node;
    this.gateway = gateway;
    this.log = log;
  }

  static async start(agents: Agent[] = [], options: NetworkOptions = {}): Promise<TestApi> {
    const fleet = new MemoryFleet(501);
    const node = await fleet.start({ nodeId: "a", agents, ...options });
    const log = recordingLogger();
    const gateway = await Gateway.start({
      network: node.network,
      port: 0,
      token: TOKEN,
      logger: log.logger,
      clock: fleet.clock,
    });
    return new TestApi(fleet, node, gateway, log);
  }

  get port(): number {
    return Number(new URL(this.gateway.url).port);
  }

  /** A request with the token. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const answer = fetch(`${this.gateway.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${TOKEN}`, ...init.headers },
    });
    return soon(answer, `an answer to ${path}`);
  }

  /** Runs an agent with this body. */
  run(body: unknown, init: RequestInit = {}): Promise<Response> {
    return this.fetch("/control/v1/run", {
      ...init,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }

  /** Sends these lines and headers as they are, then the body, and reads the answer. */
  async raw(request: string, body: Uint8Array = new Uint8Array()): Promise<RawAnswer> {
    const connection = await this.open(request);
    // The server may answer before it has read everything: that is its right.
    const writing = writeAll(connection, body).catch(() => {});
    try {
      return await readAnswer(connection);
    } finally {
      connection.close();
      await writing;
    }
  }

  /** Sends these lines and headers as they are and leaves the connection open. */
  async open(request: string): Promise<Deno.TcpConn> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    await writeAll(connection, new TextEncoder().encode(request.replaceAll("\n", "\r\n")));
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fleet.wait(this.gateway.stop());
    await this.fleet[Symbol.asyncDispose]();
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** Reads an answer of known length. */
async function readAnswer(connection: Deno.Conn): Promise<RawAnswer> {
  const buffer = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    const [head, body] = text.split("\r\n\r\n");
    const length = /^content-length: (\d+)$/im.exec(head)?.[1];
    if (body?.length === Number(length)) return { status: Number(head.split(" ")[1]), head, body };
    const read = await connection.read(buffer);
    if (read === null) throw new Error(`The connection ended within the answer: ${text}`);
    text += new TextDecoder().decode(buffer.subarray(0, read));
  }
}

/** The values of a body with one JSON value a line, as they come. */
export async function* jsonLines<T>(response: Response): AsyncGenerator<T> {
  let rest = "";
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line !== "") yield JSON.parse(line);
  }
}
