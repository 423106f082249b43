/** `key`: who is in the network, and how that is changed. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { KeyList } from "../../src/network/network_keys.ts";
import { newKeyring } from "../../src/security/keyring.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { commandLine } from "../support/command_line.ts";
import { LocalNode, type LocalNodeOptions } from "../support/local_node.ts";
import { keepKeyring } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

const KEY = NetworkKey.generate();
const NEIGHBOUR = "ab".repeat(32);

/** Runs the command with a node that has seen one neighbour; `here` is an option. */
async function withNode(
  use: (here: string, node: LocalNode) => Promise<void>,
  options: Partial<LocalNodeOptions> = {},
  others: readonly object[] = [],
): Promise<void> {
  await withTempDir(async (dataDirectory) => {
    await keepKeyring(dataDirectory, newKeyring("home", KEY));
    await Deno.mkdir(`${dataDirectory}/nodes/A`, { recursive: true });
    const [firstSeen, lastSeen] = [Date.UTC(2026, 1, 3), Date.UTC(2026, 1, 4)];
    const nodes = [
      { nodeId: "old-laptop", identity: NEIGHBOUR, firstSeen, lastSeen, hosts: ["10.0.0.6"] },
      ...others,
    ];
    const known = JSON.stringify({ version: 1, nodes });
    await Deno.writeTextFile(`${dataDirectory}/nodes/A/known_nodes.json`, known);
    await using node = await LocalNode.start({ nodeId: "A", dataDirectory, ...options });
    await use(`--data-dir=${dataDirectory}`, node);
  });
}

async function key(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await commandLine(["key", ...args]);
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

async function keyJson(...args: string[]): Promise<KeyList> {
  return JSON.parse(await key(...args, "--json"));
}

async function failure(code: number, ...args: string[]): Promise<string> {
  const outcome = await commandLine(["key", ...args]);
  assertEquals([outcome.code, outcome.stdout], [code, ""], outcome.stderr);
  assertEquals(outcome.stderr.split("\n").length, 2, `one line: ${outcome.stderr}`);
  return outcome.stderr;
}

/** The lines with one bar between their columns. */
function columnsOf(text: string): string[] {
  return text.trimEnd().split("\n").map((line) => line.replaceAll(/ {2,}/g, " | "));
}

Deno.test("key alone lists: the keys that count, and every node with who it is", async () => {
  await withNode(async (here, node) => {
    const { identity } = node.network.keys.list();
    const expected = [
      `Network home; this node is ${identity.slice(0, 16)}.`,
      "",
      "KEY | EPOCH | COUNTS UNTIL | FOR",
      `${KEY.tag} | 1 | the next one | all who have it`,
      "",
      "NODE | IDENTITY | FIRST SEEN | LAST AT | LINKED UNDER",
      `old-laptop | ${NEIGHBOUR.slice(0, 16)} | 2026-02-03 00:00 | 10.0.0.6 | –`,
    ];
    assertEquals(columnsOf(await key(here)), expected);
    assertEquals(columnsOf(await key("list", here)), expected);
    assertEquals(await keyJson("list", here), node.network.keys.list());
  });
});

Deno.test("rotate puts a new key in front, and the old one counts for the hours that were asked", async () => {
  await withNode(async (here, node) => {
    const shown = columnsOf(await key("rotate", "--grace", "2", here));
    assertStringIncludes(shown[0], "The network has a new key.");
    assertMatch(shown[5], /^[0-9a-f]{16} \| 2 \| the next one \| all who have it$/);
    const [, { acceptedUntil }] = node.network.keys.list().keys;
    assert(Math.abs(acceptedUntil! - Date.now() - 2 * 3_600_000) < 60_000);
    assertEquals(
      shown[6],
      `${KEY.tag} | 1 | ${new Date(acceptedUntil!).toISOString()} | all who have it`,
    );
    const { keys } = await keyJson("rotate", here);
    assertEquals(keys.map(({ epoch }) => epoch), [3, 2, 1]);
    assert(Math.abs(keys[1].acceptedUntil! - Date.now() - 24 * 3_600_000) < 60_000, "a day");
  });
});

/** A node that was seen, whose identity is that digit. */
function seen(nodeId: string, digit: string, firstSeen: number, host: string) {
  const [identity, lastSeen, lastTag] = [digit.repeat(64), firstSeen, KEY.tag];
  return { nodeId, identity, firstSeen, lastSeen, hosts: [host], lastTag };
}

const LONG_AGO = Date.UTC(2026, 1, 3, 14, 5);
const OTHERS = [
  seen("alias", "1", LONG_AGO, "10.0.0.6"),
  seen("desktop", "2", LONG_AGO, "10.0.0.2"),
  seen("new-phone", "3", Date.now(), "10.0.0.3"),
  seen("stranger", "4", Date.now(), "10.0.0.4"),
];

function rowOf(nodeId: string): string {
  const { identity, firstSeen, hosts } = OTHERS.find((one) => one.nodeId === nodeId)!;
  const minute = new Date(firstSeen).toISOString().slice(0, 16).replace("T", " ");
  return `${nodeId} | ${identity.slice(0, 16)} | ${minute} | ${hosts[0]}`;
}

Deno.test("evict shows who stays, and who is out as well because it may be the same device", async () => {
  await withNode(
    async (here, node) => {
      const shown = columnsOf(await key("evict", "old-laptop", "--keep=new-phone", here));
      assertEquals(shown, [
        '"old-laptop" is out.',
        "",
        "OUT AS WELL | IDENTITY | FIRST SEEN | LAST AT",
        rowOf("alias"),
        rowOf("stranger"),
        "",
        'These were first seen less than a day ago, or only ever where "old-laptop" was:',
        "each may be the same device by another name. One that is yours has to join anew:",
        "hanzo-network invite here, hanzo-network join there.",
        "",
        "STAYS | IDENTITY | FIRST SEEN | LAST AT",
        rowOf("desktop"),
        rowOf("new-phone"),
        "",
        "Is one of these no device of yours? Evict it as well. Whoever is away has a day to come back.",
      ]);
      const { keys, members } = node.network.keys.list();
      assertEquals(keys.map(({ acceptedFor }) => acceptedFor), [null, 3]);
      const counting = members.filter(({ counts }) => counts).map(({ nodeId }) => nodeId);
      assertEquals(counting, ["desktop", "new-phone"]);
      const again = await failure(1, "evict", "old-laptop", here);
      assertStringIncludes(again, 'Cannot evict or keep "old-laptop": no such node was ever seen');
      assertStringIncludes(await failure(1, "evict", "A", here), "it is this node");
      const last = columnsOf(await key("evict", "desktop", "new-phone", here));
      assertEquals(last, ['"desktop", "new-phone" are out.', "", "Nobody else stays."]);
    },
    {},
    OTHERS,
  );
});

Deno.test("evict --dry-run says the same before, and how to keep one, and changes nothing", async () => {
  await withNode(
    async (here, node) => {
      const before = node.network.keys.list();
      const shown = columnsOf(await key("evict", "old-laptop", "stranger", "--dry-run", here));
      assertEquals(shown[0], '"old-laptop", "stranger" would be out.');
      assertEquals(shown.slice(3, 5), [rowOf("alias"), rowOf("new-phone")]);
      assertStringIncludes(shown[6], 'only ever where "old-laptop", "stranger" were:');
      assertStringIncludes(shown[7], "One that is yours stays with --keep NODE.");
      assertEquals(shown.slice(9, 11), [
        "STAYS | IDENTITY | FIRST SEEN | LAST AT",
        rowOf("desktop"),
      ]);
      const json = JSON.parse(await key("evict", "old-laptop", "--dry-run", "--json", here));
      const labels = (nodes: { nodeId: string }[]) => nodes.map(({ nodeId }) => nodeId).join();
      const { evicted, staying, doubted } = json.eviction;
      assertEquals([evicted, staying, doubted].map(labels), [
        "old-laptop",
        "desktop",
        "alias,new-phone,stranger",
      ]);
      assertEquals(node.network.keys.list(), before);
    },
    {},
    OTHERS,
  );
});

Deno.test("list marks who counts under no key any more", async () => {
  const gone = { ...seen("gone", "5", LONG_AGO, "10.0.0.5"), lastTag: "0123456789abcdef" };
  const here = seen("here", "6", LONG_AGO, "10.0.0.7");
  await withNode(
    async (dir) => {
      const rows = columnsOf(await key("list", dir)).slice(-3);
      assertEquals(rows.map((row) => row.split(" | ").at(-1)), ["counts no more", "–", "–"]);
    },
    {},
    [gone, here],
  );
});

Deno.test("forget frees a label, and changes no key", async () => {
  await withNode(async (here) => {
    const shown = columnsOf(await key("forget", "old-laptop", here));
    assertEquals(
      shown[0],
      'Another device may call itself "old-laptop" now. Do the same on your others.',
    );
    assertStringIncludes(await failure(1, "forget", "old-laptop", here), "was ever seen here");
    assertEquals((await keyJson(here)).keys.map(({ tag }) => tag), [KEY.tag]);
  });
});

Deno.test("what it cannot do it says in one line and ends with 2, and nothing has changed", async () => {
  await withNode(async (here, node) => {
    const cases: [string[], string][] = [
      [["destroy"], 'key has no action "destroy", expected list, rotate, evict, forget'],
      // What every object has is no action.
      [["constructor"], 'key has no action "constructor"'],
      [["__proto__"], 'key has no action "__proto__"'],
      [["toString", "x"], 'key has no action "toString"'],
      [["list", "all"], "key list takes nothing more"],
      [["rotate", "now"], "key rotate takes nothing more"],
      [["evict"], "key evict takes one NODE or more"],
      [["forget", "a", "b"], "key forget takes one NODE"],
      [["forget", "old-laptop", "--keep=x"], "--keep goes with evict, not with forget"],
      [["rotate", "--dry-run"], "--dry-run goes with evict, not with rotate"],
      [["forget"], "key forget takes one NODE"],
      [["rotate", "--grace=25"], '--grace is "25", expected a whole number from 0 to 24'],
      [["rotate", "--grace=-1"], "--grace is"],
      [["rotate", "--grace=1h"], "expected a whole number from 0 to 24"],
      [["evict", "old-laptop", "--grace=0"], "--grace goes with rotate, not with evict"],
      [["--grace=1"], "--grace goes with rotate, not with list"],
      [["rotate", "--hours=1"], "Unknown option --hours"],
    ];
    for (const [args, message] of cases) {
      assertStringIncludes(await failure(2, ...args, here), message);
    }
    const { keys, members } = node.network.keys.list();
    assertEquals([keys.length, members.length], [1, 1]);
  });
});

Deno.test("its help names every action and option, and has an example", async () => {
  const help = await key("--help");
  assertStringIncludes(
    help,
    "Usage: hanzo-network key list | rotate | evict NODE... | forget NODE",
  );
  for (
    const option of [
      "--grace HOURS",
      "--keep NODE",
      "--dry-run",
      "--node-id ID",
      "--data-dir DIR",
      "--json",
    ]
  ) {
    assertStringIncludes(help, option);
  }
  assertStringIncludes(help, "Example: hanzo-network key evict old-laptop");
});

Deno.test("without a node there is nobody to ask, and with --json that is JSON", async () => {
  await withTempDir(async (directory) => {
    const here = `--data-dir=${directory}`;
    for (const args of [[], ["rotate"], ["evict", "B"], ["forget", "B"]]) {
      assertStringIncludes(await failure(1, ...args, here), "Start one: hanzo-network up");
      const { code, stdout } = await commandLine(["key", ...args, here, "--json"]);
      assertEquals([code, JSON.parse(stdout).error.code], [1, "UNAVAILABLE"]);
    }
    assertEquals([...Deno.readDirSync(directory)], []);
  });
});

Deno.test("an open node has no keys, and can still forget whom it has seen with one", async () => {
  await withNode(async (here) => {
    for (const args of [["list"], ["rotate"], ["evict", "old-laptop"]]) {
      const message = await failure(1, ...args, here);
      assertStringIncludes(message, "no network key, because it was started with --open");
    }
    const shown = await key("forget", "old-laptop", here);
    assertEquals(columnsOf(shown), [
      'Another device may call itself "old-laptop" now. Do the same on your others.',
    ]);
    await failure(1, "forget", "old-laptop", here);
  }, { open: true });
});
