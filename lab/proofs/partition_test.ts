/**
 * Five real nodes on a LAN that falls apart: both sides write, and show the same soon after it has
 * healed; what goes between them is what differed. `HANZO_KEYS=10000` for the long form.
 */

import { assertEquals, assertLess } from "@std/assert";
import { newKeyring } from "../../src/security/keyring.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { Lan, lanUnavailable } from "../../tests/support/lan.ts";
import { keepKeyring } from "../../tests/support/nodes.ts";
import type { TestProcess } from "../../tests/support/process.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const unavailable = await lanUnavailable();
const ignore = skipUnless(unavailable === undefined, `nodes on a LAN: ${unavailable}`);

/** That either side writes: first so many, then a tenth. */
const KEYS = Number(Deno.env.get("HANZO_KEYS") ?? 1_000);
const SIDES = [["a1", "a2"], ["b1", "b2", "b3"]] as const;
const ALL = SIDES.flat();
const PROGRAM = new URL("./partition_node.ts", import.meta.url).pathname;
/** From the end of the partition until all show the same. */
const GOAL_MS = 2_000;
/** Until a write is seen on a peer, at p95. */
const SEEN_MS = 100;
/** Of a key of 15 bytes with a value of 60, with all that is around it on the wire. */
const MOST_BYTES = 300;
/** Of a round in which nothing differs: heartbeats, beacons and handshakes. */
const BYTES_AT_REST = 100_000;

interface Told {
  readonly event: string;
  /** On this process's monotonic clock, in milliseconds. */
  readonly at: number;
  readonly order?: string;
  readonly nodeId?: string;
  readonly received?: number;
  readonly digest?: string;
  /** Until a write was seen, in milliseconds, the shortest first. */
  readonly delays?: readonly number[];
}

/** A node, and what it has told. */
class Node {
  readonly id: string;
  readonly #told: Told[] = [];

  constructor(id: string, process: TestProcess) {
    this.id = id;
    void this.#follow(process);
  }

  /** What it has told of that kind, the last one first. */
  told(event: string, fields: Partial<Told> = {}): Told[] {
    const wanted = Object.entries({ event, ...fields }) as [keyof Told, unknown][];
    return this.#told.filter((one) => wanted.every(([name, value]) => one[name] === value))
      .toReversed();
  }

  /** Whether it is on the same side as the other one. */
  isBeside(id: string): boolean {
    return SIDES.some((side: readonly string[]) => side.includes(this.id) && side.includes(id));
  }

  /** Whether the last that it has told of that node is its end. */
  hasLost(nodeId: string): boolean {
    const [end] = this.told("peer-died", { nodeId });
    const [beginning] = this.told("peer-joined", { nodeId });
    return end !== undefined && end.at > beginning.at;
  }

  async #follow(process: TestProcess): Promise<void> {
    for await (const line of process.lines()) {
      this.#told.push({ ...JSON.parse(line), at: performance.now() });
    }
  }
}

function until(nodes: readonly Node[], what: string, holds: (node: Node) => boolean) {
  return eventually(() => nodes.every(holds), { what, timeoutMs: 60_000 });
}

Deno.test({
  name: `five nodes that were apart, with ${KEYS} keys written on either side, show the same`,
  ignore,
  fn: () =>
    withTempDir(async (directory) => {
      await using lan = await Lan.of(...ALL);
      const orders = `${directory}/orders`;
      await Deno.mkdir(orders);
      const ring = newKeyring("hanzo");
      const nodes = await Promise.all(ALL.map(async (id) => {
        await keepKeyring(`${directory}/${id}`, ring);
        const args = ["run", "-A", "--quiet", PROGRAM, id, `${directory}/${id}`, orders];
        return new Node(id, lan.start(id, Deno.execPath(), args));
      }));
      const order = (name: string) => Deno.writeTextFile(`${orders}/${name}`, "");
      await until(nodes, "all to see all", (node) => node.told("peer-joined").length === 4);

      await order("pace");
      await until(nodes, "what is written at a pace", (node) => node.told("delays").length === 1);
      const delays = nodes.filter(({ id }) => id !== "a1")
        .flatMap((node) => node.told("delays")[0].delays!)
        .toSorted((one, other) => one - other);
      const [p50, p95] = [0.5, 0.95].map((part) => delays[Math.floor(part * delays.length)]);
      console.log(
        `a write is seen on four peers after ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)}`,
      );
      assertLess(p95, SEEN_MS);

      for (const keys of [KEYS, KEYS / 10]) {
        await lan.partition(...SIDES.map((side) => [...side]));
        await until(nodes, "the end of all links", (node) =>
          ALL.every((id) =>
            node.isBeside(id) || node.hasLost(id)
          ));
        const written = SIDES.map(([writer]) => `${writer}-${keys}`);
        await Promise.all(written.map(order));
        const own = (node: Node) =>
          node.told("has all").filter((one) =>
            written.includes(one.order!) && node.isBeside(one.order!.slice(0, 2))
          );
        await until(nodes, "what its side writes", (node) => own(node).length === 1);

        const healed = performance.now();
        await lan.heal();
        const whole = (node: Node) =>
          node.told("has all").filter((one) => written.includes(one.order!));
        await until(nodes, "what the other side has written", (node) => whole(node).length === 2);

        const afterMs = Math.max(...nodes.map((node) => whole(node)[0].at)) - healed;
        const bytes = nodes.map((node) => whole(node)[0].received! - own(node)[0].received!);
        console.log(`${keys} keys on either side: all show the same ${afterMs.toFixed()} ms after`);
        console.log(`the partition; each has received ${bytes.join(", ")} bytes`);
        assertLess(afterMs, GOAL_MS);
        for (const one of bytes) assertLess(one, BYTES_AT_REST + MOST_BYTES * keys);
      }

      await order("digest");
      await until(nodes, "digests", (node) => node.told("digest").length === 1);
      const digests = nodes.map((node) => node.told("digest")[0].digest);
      assertEquals(new Set(digests).size, 1, digests.join());
    }),
});
