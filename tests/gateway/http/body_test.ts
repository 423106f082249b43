/** The body of a request: read as it is framed, wherever the bytes are cut, and no further. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { RequestBody } from "../../../src/gateway/http/body.ts";
import { HttpFault } from "../../../src/gateway/http/fault.ts";
import { type ByteSource, Inbox } from "../../../src/gateway/http/inbox.ts";

/** Gives these pieces, one at each read, then the end. */
function source(...pieces: string[]): ByteSource & { reads: number } {
  const left = pieces.map((piece) => new TextEncoder().encode(piece));
  return {
    reads: 0,
    read(buffer) {
      this.reads++;
      const piece = left.shift();
      if (piece === undefined) return Promise.resolve(null);
      const count = Math.min(piece.length, buffer.length);
      buffer.set(piece.subarray(0, count));
      if (count < piece.length) left.unshift(piece.subarray(count));
      return Promise.resolve(count);
    },
  };
}

interface Rig {
  readonly body: RequestBody;
  readonly inbox: Inbox;
  readonly told: string[];
}

function rig(length: number | "chunked", from: ByteSource): Rig {
  const inbox = new Inbox(from);
  const told: string[] = [];
  const body = new RequestBody(inbox, length, {
    onWanted: () => Promise.resolve(void told.push("wanted")),
    onComplete: () => told.push("complete"),
  });
  return { body, inbox, told };
}

const text = ({ body }: Rig): Promise<string> => new Response(body.stream).text();

async function rest({ inbox }: Rig): Promise<string> {
  while (await inbox.fill());
  return new TextDecoder().decode(inbox.bytes);
}

const CHUNKED = "4;name=value\r\nWiki\r\n05\r\npedia\r\n0\r\nTrailer: x\r\n\r\nGET";

Deno.test("a body is read to its end and no further, wherever its bytes are cut", async () => {
  for (let cut = 0; cut <= CHUNKED.length; cut++) {
    const one = rig("chunked", source(CHUNKED.slice(0, cut), CHUNKED.slice(cut)));
    assertEquals(await text(one), "Wikipedia");
    assertEquals(one.told, ["wanted", "complete"]);
    assertEquals(await rest(one), "GET");
  }
  for (let cut = 0; cut <= 8; cut++) {
    const one = rig(5, source("helloGET".slice(0, cut), "helloGET".slice(cut)));
    assertEquals(await text(one), "hello");
    assertEquals(one.told, ["wanted", "complete"]);
    assertEquals(await rest(one), "GET");
  }
});

Deno.test("a body that comes byte by byte is the same", async () => {
  assertEquals(await text(rig("chunked", source(...CHUNKED))), "Wikipedia");
});

Deno.test("a body of megabytes is read in pieces of 64 KiB at most", async () => {
  const long = "x".repeat(3 * 1024 * 1024);
  for (const one of [rig(long.length, source(long)), rig("chunked", source(chunked(long)))]) {
    let length = 0;
    for await (const piece of one.body.stream) {
      assert(piece.length <= 65_536);
      length += piece.length;
    }
    assertEquals(length, long.length);
  }
});

function chunked(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
}

Deno.test("nothing is read of a body that nobody wants", async () => {
  const from = source("hello");
  const one = rig(5, from);
  await Promise.resolve();
  assertEquals([from.reads, one.told], [0, []]);
});

const FAULTS: Record<string, string> = {
  "a chunk without a length": "\r\nWiki\r\n0\r\n\r\n",
  "a chunk whose length is no number": "-4\r\nWiki\r\n0\r\n\r\n",
  "a chunk whose length has a prefix": "0x4\r\nWiki\r\n0\r\n\r\n",
  "a chunk whose length is beyond counting": "fffffffff\r\nWiki\r\n0\r\n\r\n",
  "a chunk that is longer than it says": "3\r\nWiki\r\n0\r\n\r\n",
  "a chunk that is shorter than it says": "6\r\nWiki\r\n0\r\n\r\n",
  "lines that end with a line feed only": "4\nWiki\n0\n\n",
  "a line for a length that never ends": `4;${"x".repeat(2_000)}`,
  "trailers without end": `0\r\n${"a: b\r\n".repeat(10_000)}`,
  "an end before its end": "4\r\nWi",
};

for (const [what, bytes] of Object.entries(FAULTS)) {
  Deno.test(`a body with ${what} fails for whoever reads it`, async () => {
    const one = rig("chunked", source(bytes));
    const fault = await assertRejects(() => text(one), HttpFault);
    assertEquals([fault.status, one.body.fault], [400, fault]);
    assertEquals(one.told, ["wanted"]);
  });
}

Deno.test("a body that is failed from outside fails for whoever waits for it", async () => {
  const one = rig(5, { read: () => new Promise(() => {}) });
  const reading = text(one);
  const slow = new HttpFault(408, "it is slow.");
  one.body.fail(slow);
  assertEquals(await assertRejects(() => reading, HttpFault), slow);
});

Deno.test("of a body that nobody has read, what has come is skipped, and no more", async () => {
  const all = rig(5, source("helloGET"));
  await all.inbox.fill();
  assertEquals([all.body.skip(), await rest(all)], [true, "GET"]);

  const half = rig(5, source("hel", "lo"));
  await half.inbox.fill();
  assertEquals(half.body.skip(), false);

  const unknown = rig("chunked", source(CHUNKED));
  await unknown.inbox.fill();
  assertEquals(unknown.body.skip(), false, "where it ends is not known");
});
