/** What a tool of an MCP server answers, as a tool of an agent answers it. */

import type { CallToolResult, ContentBlock } from "@modelcontextprotocol/client";
import type { JsonValue } from "../../base/bounded_json.ts";
import { NetworkError } from "../../base/errors.ts";
import { safeName } from "../../base/safe_text.ts";

/** Characters of a text, and of data as JSON: more than any model reads. */
const MAX_CHARACTERS = 1024 * 1024;

/**
 * The answer: its data, or its text, or both where the text says more than the data.
 *
 * @param called What was called, for errors: `tool "x" of MCP server "y"`.
 * @throws {NetworkError} `AGENT_FAILED` with the tool's text when it says that it failed,
 * `RESOURCE_EXHAUSTED` when its data is too large.
 */
export function toolResult(result: CallToolResult, called: string): JsonValue {
  const parts = result.content ?? [];
  const text = cut(parts.map(textOf).filter((part) => part !== "").join("\n"));
  if (result.isError) {
    throw new NetworkError("AGENT_FAILED", `${called} failed: ${text || "it does not say why"}`);
  }
  const data = result.structuredContent as JsonValue | undefined;
  if (data === undefined) return text;
  const json = JSON.stringify(data);
  if (json.length > MAX_CHARACTERS) {
    throw new NetworkError(
      "RESOURCE_EXHAUSTED",
      `${called} answered ${json.length} characters of data, and at most ${MAX_CHARACTERS} are ` +
        "taken. Ask for less.",
    );
  }
  return text === "" || isSame(text, json) ? data : { text, data };
}

/** A part of an answer as text; what is none is named. */
function textOf(part: ContentBlock): string {
  switch (part.type) {
    case "text":
      return part.text;
    case "image":
    case "audio":
      return `[${part.type}, ${safeName(part.mimeType)}, ${sizeOf(part.data)}: not shown]`;
    case "resource_link":
      return `[${safeName(part.name)}: ${safeName(part.uri, 2_048)}]`;
    case "resource": {
      const { resource } = part;
      const uri = safeName(resource.uri, 2_048);
      return "text" in resource
        ? `[${uri}]\n${resource.text}`
        : `[${uri}, ${sizeOf(resource.blob)}: not shown]`;
    }
    default:
      // What a later protocol has.
      return `[${safeName(String((part as { type: unknown }).type))}: not shown]`;
  }
}

/** How much base64 stands for. */
function sizeOf(base64: string): string {
  return `${Math.floor(base64.length * 3 / 4)} bytes`;
}

function cut(text: string): string {
  const left = text.length - MAX_CHARACTERS;
  return left <= 0
    ? text
    : `${text.slice(0, MAX_CHARACTERS)}\n[${left} more characters: not shown]`;
}

/** Whether a text is just the data again, as the protocol asks servers to write it. */
function isSame(text: string, json: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === json;
  } catch {
    return false;
  }
}
