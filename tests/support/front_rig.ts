/**
 * A front with a clock that only the test moves, and what became of those who came.
 *
 * @module
 */

import type net from "node:net";
import { Front } from "../../src/link/front.ts";
import type { RefusalReason } from "../../src/link/refusals.ts";
import type { LinkSecurity } from "../../src/link/tls_gate.ts";
import type { PeerCredential } from "../../src/security/trust.ts";
import { eventually } from "./eventually.ts";
import { type Knock, knock, type Knocking } from "./tls_client.ts";
import { WatchedClock } from "./watched_clock.ts";

/** See the top of the file. Disposing of it closes everything. */
export class FrontRig implements AsyncDisposable {
  readonly clock = new WatchedClock();
  /** The connections that were let in, with who was there. */
  readonly letIn: { socket: net.Socket; peer: PeerCredential | undefined }[] = [];
  readonly #knocks: Knock[] = [];
  #front: Front | undefined;

  /** A front on a port of the loopback that the system chooses. */
  static async listen(security?: LinkSecurity, host = "127.0.0.1"): Promise<FrontRig> {
    const rig = new FrontRig();
    rig.#front = await Front.listen({
      address: { host, port: 0 },
      clock: rig.clock,
      security,
      onConnection: (socket) => rig.#enter(socket),
    });
    return rig;
  }

  get front(): Front {
    return this.#front!;
  }

  get port(): number {
    return this.front.address.port;
  }

  /** What was refused so far: the counts that are not zero. */
  refused(): Partial<Record<RefusalReason, number>> {
    const counts = Object.entries(this.front.report()).map((
      [reason, { count }],
    ) => [reason, count]);
    return Object.fromEntries(counts.filter(([, count]) => count !== 0));
  }

  /** Lets the front look whether connections come in, and waits until it has seen. */
  async look(): Promise<void> {
    await this.clock.advance(2_000);
    // The timers of the look and of what it sent are gone then: the one of the next is left.
    await eventually(() => this.clock.pending === 1, { what: "the end of the look" });
  }

  /** Somebody knocks; it is gone with the rig. */
  knock(knocking: Omit<Knocking, "port">): Knock {
    const made = knock({ ...knocking, port: this.port });
    this.#knocks.push(made);
    return made;
  }

  /**
   * Somebody knocks and is let in or not.
   *
   * @returns Who it is for the front, `"nobody"` who had nothing to show, or undefined when it was
   * turned away.
   */
  async tries(knocking: Omit<Knocking, "port">): Promise<PeerCredential | "nobody" | undefined> {
    const count = this.letIn.length;
    const made = this.knock(knocking);
    let isOver = false;
    void made.ended.then(() => isOver = true);
    await eventually(() => isOver || this.letIn.length > count, {
      what: "being let in or turned away",
      intervalMs: 2,
    });
    const entry = this.letIn[count];
    await made.close();
    return entry === undefined ? undefined : entry.peer ?? "nobody";
  }

  /** Waits until so many were refused for that reason. */
  async untilRefused(reason: RefusalReason, count: number): Promise<void> {
    await eventually(() => this.refused()[reason] === count, {
      what: `${count} refused as ${reason}`,
      intervalMs: 2,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.front.close();
    for (const { socket } of this.letIn) socket.destroy();
    for (const made of this.#knocks) await made.close();
  }

  #enter(socket: net.Socket): void {
    socket.on("error", () => {});
    const peer = this.front.credentialOf(`${socket.remoteAddress}:${socket.remotePort}`);
    this.letIn.push({ socket, peer });
  }
}
