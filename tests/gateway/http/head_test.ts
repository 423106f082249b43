/** The head of a request: what is read, and that nothing is read in two ways. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { HttpFault } from "../../../src/gateway/http/fault.ts";
import {
  headEnd,
  MAX_HEADERS,
  MAX_TARGET_LENGTH,
  parseHead,
  type RequestHead,
} from "../../../src/gateway/http/head.ts";

function bytes(...lines: string[]): Uint8Array {
  return Uint8Array.from(`${lines.join("\r\n")}\r\n\r\n`, (char) => char.charCodeAt(0));
}

function parse(...lines: string[]): RequestHead {
  return parseHead(bytes(...lines));
}

function statusOf(...lines: string[]): number {
  return assertThrows(() => parse(...lines), HttpFault).status;
}

Deno.test("a head is its method, path, headers, and how long the body is", () => {
  assertEquals(
    parse("POST /control/v1/run?x=1 HTTP/1.1", "Host: a:1", "X-Y:\t é  ", "content-length: 12"),
    {
      method: "POST",
      target: "/control/v1/run?x=1",
      headers: [["Host", "a:1"], ["X-Y", "é"], ["content-length", "12"]],
      bodyLength: 12,
      expectsContinue: false,
      isHttp10: false,
      keepsAlive: true,
    },
  );
  assertEquals(parse("GET / HTTP/1.1").bodyLength, 0);
  assertEquals(parse("POST / HTTP/1.1", "Transfer-Encoding: Chunked").bodyLength, "chunked");
  assertEquals(parse("POST / HTTP/1.1", "Expect: 100-Continue").expectsContinue, true);
});

Deno.test("a connection is kept unless one side speaks against it", () => {
  assertEquals(parse("GET / HTTP/1.1", "Connection: keep-alive").keepsAlive, true);
  assertEquals(parse("GET / HTTP/1.1", "connection: x, Close").keepsAlive, false);
  assertEquals(parse("GET / HTTP/1.0", "Connection: keep-alive").keepsAlive, false);
});

Deno.test("where a head ends is found wherever its bytes are cut", () => {
  const head = bytes("GET / HTTP/1.1", "A: b");
  for (let cut = 0; cut < head.length; cut++) {
    assertEquals(headEnd(head.subarray(0, cut), 0), -1);
    assertEquals(headEnd(head, cut), head.length, `${cut} bytes looked at before`);
  }
  const confusing = bytes("GET / HTTP/1.1", "\n\n", "a: b\r\r\n\n\r");
  assertEquals(headEnd(confusing, 0), confusing.length);
});

const FAULTS: Record<string, [status: number, lines: string[]]> = {
  "that is HTTP/2": [505, ["PRI * HTTP/2.0"]],
  "of a version that is to come": [505, ["GET / HTTP/3.0"]],
  "with a method that nobody knows": [501, ["BREW / HTTP/1.1"]],
  "with a method in small letters": [501, ["get / HTTP/1.1"]],
  "that wants a tunnel": [501, ["CONNECT 10.0.0.1:22 HTTP/1.1"]],
  "that wants to see itself": [501, ["TRACE / HTTP/1.1"]],
  "for another server": [400, ["GET http://evil.example/ HTTP/1.1"]],
  "for no path": [400, ["OPTIONS * HTTP/1.1"]],
  "that is TLS": [400, ["\x16\x03\x01\x02\x00\x01"]],
  "without a version": [400, ["GET /"]],
  "with two spaces": [400, ["GET  / HTTP/1.1"]],
  "with a space in its path": [400, ["GET /a b HTTP/1.1"]],
  "with a control character in its path": [400, ["GET /\x00 HTTP/1.1"]],
  "with a path that is too long": [414, [`GET /${"a".repeat(MAX_TARGET_LENGTH)} HTTP/1.1`]],
  "with too many headers": [431, ["GET / HTTP/1.1", ...Array(MAX_HEADERS + 1).fill("a: b")]],
  "with a header without a name": [400, ["GET / HTTP/1.1", ": b"]],
  "with a header without a colon": [400, ["GET / HTTP/1.1", "a"]],
  "with a space behind a name": [400, ["POST / HTTP/1.1", "Content-Length : 5"]],
  "with a header over two lines": [400, ["GET / HTTP/1.1", "a: b", " c"]],
  "with a lone line feed": [400, ["GET / HTTP/1.1", "a: b\nContent-Length: 5"]],
  "with a lone carriage return": [400, ["GET / HTTP/1.1", "a: b\rContent-Length: 5"]],
  "with a NUL": [400, ["GET / HTTP/1.1", "a: \x00"]],
  "with two hosts": [400, ["GET / HTTP/1.1", "Host: a", "host: b"]],
  "with two lengths": [400, ["POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 5"]],
  "with a list of lengths": [400, ["POST / HTTP/1.1", "Content-Length: 5, 5"]],
  "with a negative length": [400, ["POST / HTTP/1.1", "Content-Length: -1"]],
  "with a length with a sign": [400, ["POST / HTTP/1.1", "Content-Length: +1"]],
  "with a length in hexadecimal": [400, ["POST / HTTP/1.1", "Content-Length: 0x10"]],
  "with a length beyond counting": [400, ["POST / HTTP/1.1", `Content-Length: ${"9".repeat(16)}`]],
  "with a length and chunks": [
    400,
    ["POST / HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"],
  ],
  "with chunks of a version without them": [400, ["POST / HTTP/1.0", "Transfer-Encoding: chunked"]],
  "with a compressed transfer": [501, ["POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"]],
  "with a transfer that looks like chunks": [
    501,
    ["POST / HTTP/1.1", "Transfer-Encoding: xchunked"],
  ],
  "that expects what is not done": [417, ["POST / HTTP/1.1", "Expect: a-miracle"]],
};

for (const [what, [status, lines]] of Object.entries(FAULTS)) {
  Deno.test(`a request ${what} is refused with ${status}`, () => {
    assertEquals(statusOf(...lines), status);
  });
}

Deno.test("whatever the bytes are, they are a head or a fault", () => {
  const line = fc.oneof(
    fc.string({ unit: "binary-ascii" }),
    fc.constantFrom("GET / HTTP/1.1", "POST /x HTTP/1.1", "Host: a", "Content-Length: 3", "a:b"),
  );
  fc.assert(fc.property(fc.array(line, { minLength: 1 }), (lines) => {
    try {
      const { target, headers, bodyLength } = parse(...lines);
      new Request(`http://127.0.0.1:1${target}`, { headers });
      assert(bodyLength === "chunked" || Number.isSafeInteger(bodyLength));
    } catch (thrown) {
      assert(thrown instanceof HttpFault, `${thrown}`);
    }
  }));
});
