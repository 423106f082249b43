/** What MCP tools answer, the names they get, and how servers are said: the pure parts. */

import { assertEquals, assertThrows } from "@std/assert";
import { boundedLines } from "../../../src/agents/mcp/bounded_lines.ts";
import { checkMcpServers } from "../../../src/agents/mcp/server_options.ts";
import { freeLabel, labelOf } from "../../../src/agents/mcp/tool_names.ts";
import { toolResult } from "../../../src/agents/mcp/tool_result.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { isLabel } from "../../../src/base/safe_text.ts";

const CALLED = 'Tool "t" of MCP server "s"';

Deno.test("texts are joined, and what is no text is named", () => {
  assertEquals(
    toolResult({
      content: [
        { type: "text", text: "one" },
        { type: "image", data: "AAAA", mimeType: "image/png" },
        { type: "audio", data: "AAAAAAAA", mimeType: "audio/wav" },
        { type: "resource_link", name: "notes", uri: "file:///notes" },
        { type: "resource", resource: { uri: "file:///a", text: "inside" } },
        { type: "resource", resource: { uri: "file:///b", blob: "AAAA" } },
      ],
    }, CALLED),
    [
      "one",
      "[image, image/png, 3 bytes: not shown]",
      "[audio, audio/wav, 6 bytes: not shown]",
      "[notes: file:///notes]",
      "[file:///a]\ninside",
      "[file:///b, 3 bytes: not shown]",
    ].join("\n"),
  );
  assertEquals(toolResult({ content: [] }, CALLED), "");
});

Deno.test("data is the answer; a text that says more comes with it", () => {
  const structuredContent = { a: 1 };
  const text = (text: string) => [{ type: "text" as const, text }];
  assertEquals(toolResult({ content: [], structuredContent }, CALLED), { a: 1 });
  assertEquals(toolResult({ content: text('{ "a": 1 }'), structuredContent }, CALLED), { a: 1 });
  assertEquals(toolResult({ content: text("one"), structuredContent }, CALLED), {
    text: "one",
    data: { a: 1 },
  });
  const large = { a: "x".repeat(1_100_000) };
  assertThrows(() => toolResult({ content: [], structuredContent: large }, CALLED), NetworkError);
  assertThrows(
    () => toolResult({ content: [], isError: true }, CALLED),
    NetworkError,
    "it does not say why",
  );
});

Deno.test("names become labels, and no two tools have the same one", () => {
  for (const name of ["a b/c", "__x", "größe", "工具", "", "-", "x".repeat(200), "files.read"]) {
    assertEquals(isLabel(labelOf(name)), true, name);
  }
  assertEquals([labelOf("files.read"), labelOf("a b/c"), labelOf("工具")], [
    ...["files.read", "a_b_c", "tool"],
  ]);
  const taken = new Set(["read"]);
  assertEquals(["read", "read", "read", "write"].map((name) => freeLabel(name, "files", taken)), [
    ...["files_read", "files_read_2", "files_read_3", "write"],
  ]);
  const long = "x".repeat(63);
  const labels = Array.from({ length: 12 }, () => freeLabel(long, "files", taken));
  assertEquals(new Set(labels).size, 12);
  assertEquals(labels.every(isLabel), true);
});

Deno.test("what is wrong with a server's options is named with the server", () => {
  const check = (servers: unknown) => () => checkMcpServers(servers, 'Cannot create agent "x"');
  check({ a: { command: "npx", args: ["-y", "b"], env: { A: "${A}" }, cwd: "/" } })();
  check({ a: { url: "https://a.example/mcp", headers: { authorization: "Bearer ${A}" } } })();
  const wrong: [unknown, string][] = [
    [[], "no record of servers"],
    [{ "a b": { command: "x" } }, 'is called "a b"'],
    [{ a: {} }, 'MCP server "a": command'],
    [{ a: { command: "x", arg: [] } }, "arg"],
    [{ a: { url: "ftp://x" } }, "url"],
    [{ a: { url: "http://x", command: "y" } }, "command"],
    [{ a: { command: "x", callTimeoutMs: 0 } }, "callTimeoutMs"],
    [Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`s${i}`, {}])), "at most 32"],
  ];
  for (const [servers, says] of wrong) assertThrows(check(servers), NetworkError, says);
});

Deno.test("lines are found however the stream is cut, and one too long ends it or is cut", async () => {
  const encoder = new TextEncoder();
  const lines = async (chunks: string[], maxBytes: number, cuts: boolean) => {
    const stream = ReadableStream.from(chunks.map((chunk) => encoder.encode(chunk)));
    const found: string[] = [];
    try {
      for await (const line of boundedLines(stream, { maxBytes, cuts })) {
        found.push(new TextDecoder().decode(line));
      }
    } catch {
      found.push("too long");
    }
    return found;
  };
  for (const chunks of [["ab\ncd\n\ne"], [..."ab\ncd\n\ne"], ["ab", "\nc", "d\n\n", "e"]]) {
    assertEquals(await lines(chunks, 2, false), ["ab", "cd", "", "e"]);
  }
  assertEquals(await lines(["ab\nlo", "ng", "er\ncd"], 3, true), ["ab", "lon", "cd"]);
  assertEquals(await lines(["ab\nlo", "ng", "er\ncd"], 3, false), ["ab", "too long"]);
});
