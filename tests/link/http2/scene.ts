/** A node in a process of its own, an honest link to it, and as many attackers as a test wants. */

import { assert, assertLess } from "@std/assert";
import http2 from "node:http2";
import { fileURLToPath } from "node:url";
import type { FrameStream, LinkTransport } from "../../../src/link/frame_stream.ts";
import { grpcTransport } from "../../../src/link/grpc_transport.ts";
import type { Credentials } from "../../../src/security/identity.ts";
import { NetworkKey } from "../../../src/security/network_key.ts";
import { eventually } from "../../support/eventually.ts";
import { memberOf } from "../../support/members.ts";
import { startProcess, type TestProcess } from "../../support/process.ts";
import { RawConnection } from "./raw_connection.ts";

/** How the attacked process is. */
export interface NodeReport {
  /** Bytes of memory. */
  readonly rss: number;
  readonly links: number;
  /** Frames that came on links. */
  readonly frames: number;
  /** Connections that were ended because of a flood. */
  readonly floods: number;
  /** Connections that had to go because there were too many. */
  readonly crowd: number;
}

/** In the clear anybody gets as far as HTTP/2; with keys only a member does. */
export type Mode = "in the clear" | "with keys";

const MIB = 1024 * 1024;

/** See the top of the file. */
export class Scene implements AsyncDisposable {
  readonly port: number;
  /** What an attacker shows. */
  readonly member: Credentials | undefined;
  readonly #node: TestProcess;
  readonly #transport: LinkTransport;
  readonly #links: HonestLink[] = [];
  #hasDied = false;

  private constructor(
    node: TestProcess,
    port: number,
    transport: LinkTransport,
    member: Credentials | undefined,
  ) {
    this.#node = node;
    this.port = port;
    this.#transport = transport;
    this.member = member;
    void node.status.then(() => this.#hasDied = true);
  }

  static async open(mode: Mode): Promise<Scene> {
    const key = mode === "with keys" ? NetworkKey.generate() : undefined;
    const program = fileURLToPath(new URL("attacked_node.ts", import.meta.url));
    const node = startProcess(Deno.execPath(), ["run", "-A", "--quiet", program], {
      env: key === undefined ? {} : { TEST_KEY: key.reveal().toHex() },
    });
    const line = await node.waitForLine((line) => /^\d+$/.test(line), {
      what: "a port",
      timeoutMs: 20_000,
    });
    const security = key && await memberOf(key, "honest");
    const member = key && (await memberOf(key, "attacker")).credentials()[0];
    const scene = new Scene(node, Number(line), grpcTransport({ security }), member);
    await scene.link();
    return scene;
  }

  /** The member that is there all the time. */
  get honest(): HonestLink {
    return this.#links[0];
  }

  /** One more link. */
  async link(): Promise<HonestLink> {
    const address = { host: "127.0.0.1", port: this.port };
    const stream = await this.#transport.dial(address, new AbortController().signal);
    const link = new HonestLink(stream);
    this.#links.push(link);
    return link;
  }

  /** One more attacker. */
  attack(options?: { reads: boolean }): Promise<RawConnection> {
    return RawConnection.open(this.port, this.member, options);
  }

  /** A client of HTTP/2 that keeps its rules, until `use` has ended. */
  async withClient<T>(use: (session: http2.ClientHttp2Session) => Promise<T>): Promise<T> {
    const { member } = this;
    const session = member === undefined
      ? http2.connect(`http://127.0.0.1:${this.port}`)
      : http2.connect(`https://127.0.0.1:${this.port}`, {
        cert: member.certificate,
        key: member.privateKey,
        ca: member.authority,
        servername: member.serverName,
        checkServerIdentity: () => undefined,
      });
    session.on("error", () => {});
    const closed = new Promise((resolve) => session.once("close", resolve));
    try {
      return await use(session);
    } finally {
      session.destroy();
      await closed;
    }
  }

  report(): Promise<NodeReport> {
    return this.honest.report();
  }

  /**
   * Nobody but the attackers has noticed anything, and nothing of them is left.
   *
   * @param maxGrowth Of its memory, in mebibytes.
   */
  async assertUnharmed(before: NodeReport, maxGrowth: number): Promise<void> {
    assert(!this.#hasDied, `the node died: ${this.#node.stderrText()}`);
    const after = await eventually(async () => {
      const report = await this.report();
      return report.links === this.#links.length ? report : undefined;
    }, { what: "the end of all links but the honest ones" });
    assertLess((after.rss - before.rss) / MIB, maxGrowth, "its memory grew by too many MiB");
    await (await this.link()).echo();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links) link.close();
    await eventually(() => this.#links.every(({ isOver }) => isOver), {
      what: "the end of the honest links",
    });
    await this.#node[Symbol.asyncDispose]();
  }
}

/** A link whose frames come back. */
export class HonestLink {
  readonly #stream: FrameStream;
  readonly #waiting: ((frame: Uint8Array | undefined) => void)[] = [];
  isOver = false;

  constructor(stream: FrameStream) {
    this.#stream = stream;
    stream.start({
      onFrame: (frame) => this.#waiting.shift()?.(frame),
      onDrain() {},
      onClose: () => {
        this.isOver = true;
        for (const tell of this.#waiting.splice(0)) tell(undefined);
      },
    });
  }

  /** Milliseconds until a frame has come back. */
  async echo(bytes = 64): Promise<number> {
    const startedAt = performance.now();
    const frame = await this.#ask(new Uint8Array(bytes).fill(1));
    assert(frame.length === bytes);
    return performance.now() - startedAt;
  }

  /** The median time of an echo, in milliseconds, while `attack` goes on. */
  async echoDuring(attack: Promise<unknown>): Promise<number> {
    let isOver = false;
    const ended = attack.finally(() => isOver = true);
    const times: number[] = [];
    while (!isOver) {
      times.push(await this.echo());
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2))]);
    }
    await ended;
    return times.toSorted((a, b) => a - b)[times.length >> 1];
  }

  async report(): Promise<NodeReport> {
    return JSON.parse(new TextDecoder().decode(await this.#ask(new Uint8Array())));
  }

  close(): void {
    this.#stream.close();
  }

  async #ask(frame: Uint8Array): Promise<Uint8Array> {
    assert(!this.isOver, "an honest link was lost");
    this.#stream.send(frame);
    const answer = await new Promise<Uint8Array | undefined>((resolve) => {
      this.#waiting.push(resolve);
    });
    assert(answer !== undefined, "an honest link was lost");
    return answer;
  }
}
