/** Two ends of one link in memory. */

import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Load } from "../../src/link/frame.ts";
import type { FrameStream } from "../../src/link/frame_stream.ts";
import { MemoryLinks } from "../../src/link/memory_transport.ts";
import type { IncomingCall } from "../../src/link/call.ts";
import { type LinkEnd, PeerLink } from "../../src/link/peer_link.ts";
import type { NodeDescription } from "../../src/membership/node_description.ts";
import { MemoryNetwork } from "../../src/transport/memory_network.ts";

/** One end, with what has happened at it. */
export interface LinkSide {
  link: PeerLink;
  readonly calls: IncomingCall[];
  readonly notices: string[];
  end: LinkEnd | undefined;
  load: Load;
}

/** A dialler's and an acceptor's end, 1 ms apart. */
export class LinkPair {
  readonly clock = new ManualClock();
  readonly lan = new MemoryNetwork(this.clock, seededRandom(1), { latencyMs: 1 });
  readonly links = new MemoryLinks(this.clock, this.lan);
  readonly dialler: LinkSide = side();
  readonly acceptor: LinkSide = side();
  onCall: (call: IncomingCall) => void = () => {};

  /** Opens it; `admit` may refuse as an acceptor does. */
  async open(admit: (name: string) => void = () => {}): Promise<void> {
    await this.links.transport("10.0.0.2").listen(
      { host: "10.0.0.2", port: 1 },
      (stream) => this.#take(stream, false, admit),
    );
    await this.openDialler();
  }

  /** Opens the dialler's end alone, to whatever listens there. */
  async openDialler(): Promise<void> {
    const dialling = this.links.transport("10.0.0.1").dial(
      { host: "10.0.0.2", port: 1 },
      new AbortController().signal,
    );
    await this.clock.advance(5);
    this.#take(await dialling, true, () => {});
    await this.clock.advance(5);
  }

  #take(stream: FrameStream, dialled: boolean, admit: (name: string) => void): void {
    const me = dialled ? this.dialler : this.acceptor;
    me.link = new PeerLink({
      stream,
      dialled,
      clock: this.clock,
      introduction: () => dialled ? "dialler" : "acceptor",
      load: () => me.load,
      admit: (bytes) => {
        const nodeId = new TextDecoder().decode(bytes);
        admit(nodeId);
        return { nodeId } as NodeDescription;
      },
      onOpen: () => {},
      onCall: (call) => {
        me.calls.push(call);
        if (!dialled) this.onCall(call);
      },
      onNotice: (topic, body) => me.notices.push(`${topic}:${new TextDecoder().decode(body)}`),
      onClose: (end) => me.end = end,
    });
  }
}

function side(): LinkSide {
  return {
    link: undefined as unknown as PeerLink,
    calls: [],
    notices: [],
    end: undefined,
    load: { running: 0, queued: 0, slots: 1, modelCalls: 0 },
  };
}
