/** The log's lines: texts in them stand as they are, and cannot do harm. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { reset } from "@logtape/logtape";
import type { Logger } from "../../src/base/log.ts";
import { openLog } from "../../src/cli/log.ts";

/** What the log writes of what `tell` says to it. */
async function logged(json: boolean, tell: (logger: Logger) => void): Promise<string[]> {
  const lines: string[] = [];
  const logger = await openLog("info", json, (line) => lines.push(line));
  try {
    tell(logger);
  } finally {
    await reset();
  }
  return lines;
}

const TOLD: [template: string, properties: Record<string, unknown>, message: string][] = [
  [
    '{host} calls itself "{nodeId}"',
    { host: "10.0.0.6", nodeId: "x" },
    '10.0.0.6 calls itself "x"',
  ],
  ["{problem}", { problem: 'Cannot resolve "no-such-host".' }, 'Cannot resolve "no-such-host".'],
  [
    "{kind} peer {nodeId} has {type}",
    { kind: "exo", nodeId: "a", type: "appeared" },
    "exo peer a has appeared",
  ],
  ["{taken} is taken; {list}", { taken: 5680, list: ["a"] }, '5680 is taken; [ "a" ]'],
  ["nothing is put in", {}, "nothing is put in"],
];

Deno.test("a text in a message has no quotes but those of the message, for people and programs", async () => {
  for (const [template, properties, message] of TOLD) {
    const [line] = await logged(false, (logger) => logger.warn(template, properties));
    assertMatch(line, /^[\d:.]+ \[WRN\] hanzo-network: /);
    assertEquals(line.replace(/^.*?hanzo-network: /, ""), message);
    const [json] = await logged(true, (logger) => logger.warn(template, properties));
    const record = JSON.parse(json);
    assertEquals([record.message, record.properties], [message, properties]);
  }
});

Deno.test("a text from outside neither begins a line of the log nor reaches the terminal's controls", async () => {
  const reason = "one\n12:00:00.000 [INF] forged\x1b[2J\u202e";
  const tell = (logger: Logger) => logger.error("It failed: {reason}", { reason });
  const [line, ...more] = await logged(false, tell);
  assertEquals(more, []);
  assert(line.endsWith("It failed: one 12:00:00.000 [INF] forged[2J"), line);
  const [json] = await logged(true, tell);
  assert(!json.includes("\n") && !json.includes("\x1b"), json);
  const record = JSON.parse(json);
  assertEquals(record.message, `It failed: ${record.properties.reason}`);
});
