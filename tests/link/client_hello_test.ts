/** The first words on a connection: read before anything is spent on who says them. */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import tls from "node:tls";
import { seededRandom } from "../../src/base/random.ts";
import { readFirstWords } from "../../src/link/client_hello.ts";

/** What a real client says first. */
async function helloFor(servername: string): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const socket = tls.connect({ host: "127.0.0.1", port: listener.addr.port, servername });
  socket.on("error", () => {});
  using connection = await listener.accept();
  const bytes = Buffer.alloc(16_384);
  const length = await connection.read(bytes);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.destroy();
  await closed;
  return bytes.subarray(0, length!);
}

const named = await helloFor("0123456789abcdef.hanzo-network");
const nameless = await helloFor("");

Deno.test("the name that a client asks for is found, and that it asks for none", () => {
  assertEquals(readFirstWords(named), { serverName: "0123456789abcdef.hanzo-network" });
  assertEquals(readFirstWords(nameless), { serverName: undefined });
  assertEquals(readFirstWords(Buffer.concat([named, nameless])), readFirstWords(named));
});

Deno.test("as long as the rest may still come, nothing is decided", () => {
  for (let end = 0; end < named.length; end++) {
    assertEquals(readFirstWords(named.subarray(0, end)), "incomplete", `${end} bytes`);
  }
});

Deno.test("what is no TLS is known by its first bytes", () => {
  for (
    const words of ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0", "\x16\x02"]
  ) {
    assertEquals(readFirstWords(new TextEncoder().encode(words)), "no-hello", words);
  }
  // An alert; a record without a length; one that is longer than any may be; another message.
  for (const hex of ["1503010002", "1603010000", "160301ffff", "160301000402000000"]) {
    assertEquals(readFirstWords(Uint8Array.fromHex(hex)), "no-hello", hex);
  }
});

Deno.test("a hello of any content at all is read or refused", () => {
  const random = seededRandom(8446);
  const upTo = (limit: number) => Math.floor(random.next() * limit);
  const seen = new Set<string>();
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from(named);
    for (let i = 1 + upTo(4); i > 0; i--) bytes[upTo(bytes.length)] = upTo(256);
    const words = readFirstWords(bytes.subarray(0, bytes.length - upTo(2) * upTo(20)));
    seen.add(typeof words === "string" ? words : "hello");
  }
  assertEquals([...seen].sort(), ["hello", "incomplete", "no-hello"]);
  assert(seen.size === 3);
});
