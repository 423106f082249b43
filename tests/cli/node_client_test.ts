/** What a command does about a node that answers late, or not at all. */

import { assertEquals, assertRejects } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { NodeClient } from "../../src/cli/node_client.ts";

Deno.test("a node that accepts and never answers is given up after five seconds", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const api = `http://127.0.0.1:${port}`;
  const clock = new ManualClock();
  const answer = new NodeClient({ api, token: "t" }, clock).status();
  const refused = assertRejects(() => answer, NetworkError);
  using connection = await listener.accept();
  await clock.advance(4_999);
  assertEquals(
    await Promise.race([answer.catch(() => "given up"), Promise.resolve("waits")]),
    "waits",
  );
  await clock.advance(1);
  const { code, message } = await refused;
  assertEquals(
    [code, message],
    [
      "UNAVAILABLE",
      `Cannot reach the node at ${api}: it runs, but has not answered within 5 s. Is it stopped, or very busy?`,
    ],
  );
  // The request is taken back: its connection ends.
  const buffer = new Uint8Array(4_096);
  while (await connection.read(buffer).catch(() => null) !== null);
});
