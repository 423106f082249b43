/** What a client is told while it waits. */

import { assertEquals } from "@std/assert";
import type { ServerContext } from "@modelcontextprotocol/server";
import { Progress } from "../../../src/gateway/mcp/progress.ts";

Deno.test("whatever happens is told before the end, in whichever moment it happens", async () => {
  for (let turns = 0; turns < 12; turns++) {
    let told = "";
    const progress = new Progress(
      {
        _meta: { progressToken: 1 },
        signal: new AbortController().signal,
        notify: ({ params }: { params: { message: string } }) => {
          told += params.message;
          return Promise.resolve();
        },
      } as unknown as ServerContext["mcpReq"],
    );
    progress.tell("first ");
    for (let turn = 0; turn < turns; turn++) await undefined;
    progress.tell("last");
    await progress.end();
    assertEquals(told, "first last", `${turns} turns later`);
  }
});
