/** Who tells whom what: between replicas in memory, one of which may lie. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { encodeDelta, encodeSeen } from "../../src/state/delta_codec.ts";
import { DELTA_TOPIC, PULL_METHOD, Replicator, SEEN_TOPIC } from "../../src/state/replicator.ts";
import { RowStore } from "../../src/state/row_store.ts";
import { type Delta, StateReplica } from "../../src/state/state_replica.ts";
import { Versions } from "../../src/state/versions.ts";
import { type RecordingLogger, recordingLogger } from "../support/recording_logger.ts";

interface Node {
  readonly state: StateReplica;
  readonly replicator: Replicator;
  readonly log: RecordingLogger;
}

/** Replicas that can all be reached, and what went between them. */
class Lan {
  readonly clock = new ManualClock();
  readonly nodes = new Map<string, Node>();
  /** By asker and asked. */
  readonly pulls: string[] = [];
  bytes = 0;
  isCut = false;

  add(nodeId: string): Node {
    const log = recordingLogger();
    const random = seededRandom(this.nodes.size + 1);
    const state: StateReplica = new StateReplica({
      nodeId,
      store: new RowStore(),
      clock: this.clock,
      random,
      onWritten: (delta) => node.replicator.written(delta),
    });
    const replicas = {
      linked: () => this.isCut ? [] : [...this.nodes.keys()].filter((one) => one !== nodeId),
      tell: (to: string, topic: string, body: Uint8Array) => this.#tell(nodeId, to, topic, body),
      ask: async (
        to: string,
        method: string,
        body: Uint8Array,
        onItem: (item: Uint8Array) => void,
      ) => {
        assertEquals(method, PULL_METHOD);
        this.pulls.push(`${nodeId} ${to}`);
        for (const item of this.nodes.get(to)!.replicator.answer(body)) {
          this.bytes += item.length;
          onItem(item);
          await Promise.resolve();
        }
      },
    };
    const { clock } = this;
    const node: Node = {
      state,
      replicator: new Replicator({ state, replicas, clock, random, logger: log.logger }),
      log,
    };
    node.replicator.start();
    this.nodes.set(nodeId, node);
    return node;
  }

  /** All compare what they have seen. */
  async compare(): Promise<void> {
    await this.clock.advance(10_000);
    await this.clock.advance(10_000);
  }

  #tell(from: string, to: string, topic: string, body: Uint8Array): void {
    if (this.isCut) return;
    this.bytes += body.length;
    assert(this.nodes.get(to)!.replicator.heard(from, topic, body));
  }
}

Deno.test("what differs after a cut is exchanged, and nothing else", async () => {
  const lan = new Lan();
  const [a, b, c] = ["a", "b", "c"].map((id) => lan.add(id));
  for (let i = 0; i < 2_000; i++) void a.state.set(`before/${i}`, "x".repeat(100));
  await a.state.settled();
  await lan.compare();
  lan.isCut = true;
  const write = async ({ state }: Node, id: string) => {
    for (let i = 0; i < 100; i++) void state.set(`${id}/${i}`, "x".repeat(100));
    await state.settled();
  };
  await Promise.all([write(a, "a"), write(b, "b")]);
  lan.isCut = false;
  lan.bytes = 0;
  await lan.compare();
  for (const { state } of [a, b, c]) assertEquals(state.keys().length, 2_200);
  assertEquals(b.state.entries(), a.state.entries());
  assertEquals(c.state.entries(), a.state.entries());
  // Four times a hundred rows of some 200 bytes.
  assert(lan.bytes < 150_000, `${lan.bytes}`);
  lan.pulls.length = 0;
  await lan.compare();
  assertEquals(lan.pulls, []);
});

Deno.test("nobody tells what others have written", async () => {
  const lan = new Lan();
  const [a, b] = ["a", "b"].map((id) => lan.add(id));
  await a.state.set("k", 1);
  const delta: Delta = { origin: "a/0000000000000000", after: 0, upTo: 9, rows: [] };
  b.replicator.heard("evil", DELTA_TOPIC, encodeDelta(delta));
  assertStringIncludes(b.log.lines("warn")[0], 'what it says of "a"');
  assertEquals(b.state.versions.of(delta.origin), 0);
});

Deno.test("who claims that another one has written more keeps nobody from what that one writes", async () => {
  const lan = new Lan();
  const [a, b] = ["a", "b"].map((id) => lan.add(id));
  await a.state.set("k", "real");
  const { origin } = a.state;
  const lie: Delta = {
    origin,
    after: a.state.versions.of(origin),
    upTo: 2 ** 40,
    rows: [{
      key: "made up",
      part: "",
      origin,
      seq: 2 ** 40,
      stamp: { time: lan.clock.wallTime(), count: 0, writer: origin },
      base: undefined,
      value: "1",
    }],
  };
  // As an answer to a question, which may tell of everybody.
  const evil = {
    state: a.state,
    log: a.log,
    replicator: {
      *answer() {
        const versions = new Versions([[origin, 2 ** 40]]);
        yield encodeSeen({ versions, own: "evil/0123456789abcdef" });
        yield encodeDelta(lie);
      },
    } as unknown as Replicator,
  };
  lan.nodes.set("evil", evil);
  b.replicator.heard("evil", SEEN_TOPIC, new Uint8Array(8));
  await lan.clock.advance(1);
  assertEquals([b.state.get("k"), b.state.get("made up")], ["real", 1]);
  lan.nodes.delete("evil");
  await a.state.set("k", "later");
  assertEquals(b.state.get("k"), "real");
  await lan.compare();
  assertEquals([b.state.get("k"), b.state.has("made up")], ["later", false]);
  assertStringIncludes(b.log.lines("warn").join(), 'in the name of "a"');
  assertEquals(b.state.versions.of(origin), a.state.versions.of(origin));
});

Deno.test("who differs in each comparison is told of after a while, and not any more when it is alike", async () => {
  const lan = new Lan();
  const [a, b] = [lan.add("a"), lan.add("b")];
  await b.state.set("k", 1);
  await lan.compare();
  assertEquals(a.replicator.differingFor(0), []);
  // Nothing that it writes is believed, so that it stays another one.
  a.state.take = () => "gap";
  await b.state.set("k", 2);
  await lan.compare();
  assertEquals(a.replicator.differingFor(30_000), [], "not for so long");
  await lan.compare();
  await lan.compare();
  assertEquals(a.replicator.differingFor(30_000), ["b"]);
  lan.isCut = true;
  assertEquals(a.replicator.differingFor(30_000), [], "it is not linked");
  lan.isCut = false;
  a.state.take = StateReplica.prototype.take;
  await lan.compare();
  await lan.compare();
  assertEquals(a.replicator.differingFor(0), []);
});
