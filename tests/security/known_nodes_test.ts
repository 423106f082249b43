/** Who was seen under which label, on this node and for good. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { KnownNodes } from "../../src/security/known_nodes.ts";
import { eventually } from "../support/eventually.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { skipUnless } from "../support/skip.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { withTempDir } from "../support/temp.ts";

const NOW = Date.UTC(2026, 0, 1);

function identity(node: number): string {
  return node.toString(16).padStart(64, "0");
}

/** What is known of one that was seen without more. */
function seen(nodeId: string, node: number) {
  return { nodeId, identity: identity(node), hosts: [], lastTag: null };
}

async function open(path?: string, clock = new ManualClock()) {
  const { logger, lines } = recordingLogger();
  return { known: await KnownNodes.open({ path, clock, logger }), clock, lines };
}

Deno.test("who was seen is known, with when, in the order of the labels", async () => {
  const { known, clock } = await open();
  known.remember("b", identity(2));
  known.remember("a", identity(1));
  await clock.advance(5_000);
  known.remember("b", identity(2));
  assertEquals(known.list(), [
    { ...seen("a", 1), firstSeen: NOW, lastSeen: NOW },
    { ...seen("b", 2), firstSeen: NOW, lastSeen: NOW + 5_000 },
  ]);
  assertEquals([known.identityOf("a"), known.identityOf("c")], [identity(1), undefined]);
  for (const label of ["__proto__", "constructor", "toString"]) {
    assertEquals(known.identityOf(label), undefined, label);
  }
  await known.close();
});

Deno.test("what was seen is still known after the next start, to nobody but the node's owner", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/known_nodes.json`;
    const first = await open(path);
    first.known.remember("a", identity(1));
    first.known.remember("b", identity(2));
    await first.clock.advance(1_000);
    first.known.remember("a", identity(1));
    await first.known.close();
    await first.known.close();
    if (Deno.build.os !== "windows") {
      assertEquals((Deno.lstatSync(path).mode! & 0o777).toString(8), "600");
    }
    const second = await open(path);
    assertEquals(second.known.list(), first.known.list());
    assertEquals(second.known.list()[0].lastSeen, NOW + 1_000, "also when it was last seen");
    assertEquals(await second.known.forget("a"), true);
    assertEquals(await second.known.forget("a"), false);
    assertEquals((await open(path)).known.list().map(({ nodeId }) => nodeId), ["b"], "at once");
    await second.known.forget("b");
    await second.known.close();
    assertEquals((await open(path)).known.list(), []);
  });
});

Deno.test("a new one is on the disk without waiting for the end of the process", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/known_nodes.json`;
    const { known } = await open(path);
    for (const [label, id] of [["a", identity(1)], ["b", identity(2)]]) {
      known.remember(label, id);
      await eventually(async () => (await open(path)).known.identityOf(label) === id, {
        what: `${label} on the disk`,
      });
    }
    await known.close();
  });
});

Deno.test("a label that was forgotten is free, and first seen anew", async () => {
  const { known, clock } = await open();
  known.remember("a", identity(1));
  await known.forget("a");
  await clock.advance(10);
  known.remember("a", identity(2));
  assertEquals(known.list(), [
    { ...seen("a", 2), firstSeen: NOW + 10, lastSeen: NOW + 10 },
  ]);
});

Deno.test("a label stays whose it is, however many others are seen: beyond 4,096 new ones are refused", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/known_nodes.json`;
    const { known, clock } = await open(path);
    known.remember("honest", identity(0));
    for (let i = 1; i < 4_096; i++) {
      known.remember(`n${i}`, identity(i), { host: `host ${i % 100}` });
    }
    const error = assertThrows(() => known.remember("new", identity(5_000)), NetworkError);
    assertEquals(error.code, "RESOURCE_EXHAUSTED");
    assertStringIncludes(error.message, "hanzo-network key forget");
    assertEquals([known.identityOf("honest"), known.list().length], [identity(0), 4_096]);
    await clock.advance(1_000);
    known.remember("honest", identity(0));
    await known.forget("n1");
    known.remember("new", identity(5_000));
    await known.close();
    assertEquals((await open(path)).known.list(), known.list());
  });
});

Deno.test("a label is not given to another identity", async () => {
  const { known } = await open();
  known.remember("a", identity(1));
  const error = assertThrows(() => known.remember("a", identity(2)), NetworkError);
  assertEquals([error.code, known.identityOf("a")], ["NAME_CONFLICT", identity(1)]);
});

Deno.test("one host brings at most 128 new labels within an hour, others are let in meanwhile", async () => {
  const { known, clock } = await open();
  const [bad, good] = [{ host: "10.0.0.9" }, { host: "10.0.0.1" }];
  for (let i = 0; i < 128; i++) known.remember(`n${i}`, identity(i), bad);
  // Where it comes from may be said with the label, or after it.
  for (const before of [bad, {}]) {
    const error = assertThrows(() => {
      known.remember("more", identity(500), before);
      known.remember("more", identity(500), bad);
    }, NetworkError);
    assertEquals(error.code, "RESOURCE_EXHAUSTED");
    assertStringIncludes(error.message, "from 10.0.0.9 within an hour");
    assertEquals(known.identityOf("more"), undefined);
  }
  known.remember("n0", identity(0), bad);
  known.remember("honest", identity(600), good);
  known.remember("honest", identity(600), bad);
  await clock.advance(60 * 60 * 1_000);
  known.remember("more", identity(500), bad);
});

Deno.test("so it is with those of whom nobody knows where they come from", async () => {
  const { known, clock } = await open();
  for (let i = 0; i < 128; i++) known.remember(`n${i}`, identity(i));
  assertThrows(() => known.remember("more", identity(500)), NetworkError, "within an hour");
  known.remember("n0", identity(0), { host: "10.0.0.1" });
  known.remember("more", identity(500));
  await clock.advance(60 * 60 * 1_000);
  known.remember("n1", identity(1), { host: "10.0.0.1" });
  for (let i = 200; i < 328; i++) known.remember(`n${i}`, identity(i));
});

Deno.test("the last four hosts of a node and its last key are kept, the last host first", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/known_nodes.json`;
    const { known } = await open(path);
    for (const host of ["h1", "h2", "h3", "h1", "h4", "h5", "x".repeat(65)]) {
      known.remember("a", identity(1), { host, tag: `of ${host}`.slice(0, 5) });
    }
    known.noteKey("a", identity(1), "1234567890abcdef");
    known.noteKey("a", identity(2), "of another");
    known.noteKey("b", identity(2), "of nobody");
    const [{ hosts, lastTag }] = known.list();
    assertEquals([hosts, lastTag], [["h5", "h4", "h1", "h3"], "1234567890abcdef"]);
    await known.close();
    assertEquals((await open(path)).known.list(), known.list());
  });
});

Deno.test("as many as may be known, each with all that it may have, can be read again", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/known_nodes.json`;
    const { known } = await open(path);
    for (let i = 0; i < 4_096; i++) {
      for (let j = 0; j < 4; j++) {
        const host = `${i}-${j}-`.padEnd(64, "x");
        known.remember(`${i}`.padStart(63, "n"), identity(i), { host, tag: "0123456789abcdef" });
      }
    }
    await known.close();
    assertEquals((await open(path)).known.list(), known.list());
  });
});

Deno.test("a file that is damaged is refused: to begin anew would believe whoever comes first", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/known_nodes.json`;
    const node = { nodeId: "a", identity: identity(1), firstSeen: 1, lastSeen: 1 };
    const text = JSON.stringify({ version: 1, nodes: [node] });
    const damaged = [
      "",
      "[]",
      text.slice(0, -1),
      text.slice(0, 40),
      text.replace("1", "2"),
      ...[
        { nodeId: "../a" },
        { nodeId: "a\u001b[31m" },
        { identity: "x" },
        { identity: identity(1).slice(1) },
        { firstSeen: "then" },
        { lastSeen: null },
        { hosts: ["h".repeat(65)] },
        { hosts: Array(5).fill("h") },
        { lastTag: 7 },
      ].map((change) => JSON.stringify({ version: 1, nodes: [{ ...node, ...change }] })),
      JSON.stringify({ version: 1, nodes: Array(4_097).fill(node) }),
      "[".repeat(10_000),
    ];
    for (const content of damaged) {
      await Deno.writeTextFile(path, content);
      const error = await assertRejects(
        () => open(path),
        NetworkError,
        undefined,
        content.slice(0, 80),
      );
      assertEquals(error.code, "FAILED_PRECONDITION");
      assertStringIncludes(error.message, `Cannot read the known nodes from ${path}`);
      assertStringIncludes(error.message, "Restore it, or remove it");
      assertEquals(await Deno.readTextFile(path), content);
    }
  });
});

Deno.test({
  name: "a full disk is told, and everybody stays known as long as the node runs",
  ignore: skipUnless(cannotMount() === undefined, `a full disk: ${cannotMount()}`),
  fn: () =>
    withSmallDisk(64, async (disk) => {
      const { known, lines } = await open(`${disk}/known_nodes.json`);
      await Deno.writeFile(`${disk}/ballast`, new Uint8Array(64 * 1024)).catch(() => {});
      known.remember("a", identity(1));
      await known.close();
      assertEquals(known.identityOf("a"), identity(1));
      assert(lines("warn")[0].includes("the disk is full. Make room there."), lines("warn")[0]);
      await Deno.remove(`${disk}/ballast`);
      await known.close();
      assertEquals((await open(`${disk}/known_nodes.json`)).known.identityOf("a"), identity(1));
    }),
});
