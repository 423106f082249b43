/** An engine that says what the test wants, behind a dialect, as the `fetch` of official clients. */

import { assertEquals } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import type { ChatChunk, ChatCompletion, ChatRequest } from "../../src/dialects/chat.ts";
import { ChatStreamReader } from "../../src/dialects/chat_stream.ts";
import type {
  CallError,
  Dialect,
  JsonObject,
  TranslationNeeds,
} from "../../src/dialects/dialect.ts";

/** What an engine answers: whole or in pieces, as deviant as the test wants. */
export interface EngineAnswer {
  readonly whole?: unknown;
  readonly pieces?: readonly unknown[];
  /** What ends it instead. */
  readonly breaksOff?: CallError;
}

/** A dialect in front of an engine. */
export interface Front {
  readonly fetch: typeof fetch;
  /** What the engine was asked. */
  readonly asked: ChatRequest[];
  /** What the client was told, as text. */
  readonly told: string[];
}

/** Time that goes on by 10 ms each time that it is looked at. */
export function testNeeds(model = "llama3.2:latest"): TranslationNeeds {
  let now = 1_735_689_600_000;
  let ids = 0;
  return { model, now: () => now += 10, newId: () => `id${++ids}` };
}

/** See the top of the file. */
export function front(
  dialect: Dialect,
  answer: EngineAnswer | ((request: ChatRequest) => EngineAnswer),
): Front {
  const asked: ChatRequest[] = [];
  const told: string[] = [];
  const respond = async (request: Request): Promise<Response> => {
    assertEquals(new URL(request.url).pathname, dialect.path);
    const body = await request.json() as JsonObject;
    try {
      const { model, stream } = dialect.read(body);
      const translation = dialect.toChat!(body, testNeeds(model));
      asked.push(translation.request);
      const says = typeof answer === "function" ? answer(translation.request) : answer;
      if (!stream) {
        const whole = translation.whole(says.whole as ChatCompletion);
        told.push(JSON.stringify(whole));
        return Response.json(whole);
      }
      const reader = new ChatStreamReader();
      const pieces = translation.pieces();
      const texts: string[] = [];
      for (const text of portions(eventsOf(says), 7)) {
        for (const chunk of reader.push(text)) texts.push(pieces.push(chunk));
      }
      const followed = dialect.follow?.();
      for (const text of portions(texts.join(""), 7)) followed?.push(text);
      texts.push(
        says.breaksOff === undefined
          ? pieces.end()
          : (followed ?? dialect).breakOff(says.breaksOff),
      );
      told.push(texts.join(""));
      return new Response(
        ReadableStream.from(texts.map((text) => new TextEncoder().encode(text))),
        {
          headers: { "content-type": dialect.streamType },
        },
      );
    } catch (thrown) {
      if (!(thrown instanceof NetworkError)) throw thrown;
      const { status, body } = dialect.refuse(thrown);
      return Response.json(body, { status });
    }
  };
  return {
    asked,
    told,
    fetch: (input, init) => respond(new Request(input as string | URL | Request, init)),
  };
}

function eventsOf({ pieces = [] }: EngineAnswer): string {
  return pieces.map((piece) => `data: ${JSON.stringify(piece)}\n\n`).join("") + "data: [DONE]\n\n";
}

/** A text in portions of so many characters. */
export function portions(text: string, size: number): string[] {
  return text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
}

/** A piece of an answer as engines send it. */
export function chunk(
  delta: Record<string, unknown>,
  finish_reason: string | null = null,
  rest: Record<string, unknown> = {},
): ChatChunk {
  return {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_735_689_600,
    model: "the-engine's-name",
    choices: [{ index: 0, delta, finish_reason }],
    ...rest,
  } as unknown as ChatChunk;
}

/** The piece that tells what an answer took. */
export function usageChunk(prompt_tokens: number, completion_tokens: number, more = {}): ChatChunk {
  const usage = {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    ...more,
  };
  return { ...chunk({}), choices: [], usage };
}

/** A whole answer as engines send it. */
export function completion(
  message: Record<string, unknown>,
  finish_reason: string | null = "stop",
  rest: Record<string, unknown> = {},
): unknown {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_735_689_600,
    model: "the-engine's-name",
    choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason }],
    usage: { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 },
    ...rest,
  };
}

/** Two calls of tools at once, in pieces that are no JSON of their own. */
export const PARALLEL_CALLS: readonly ChatChunk[] = [
  chunk({ role: "assistant", content: null }),
  ...[["call_a", "weather", '{"city":"Graz"}'], ["call_b", "clock", '{"zone":"CET","h24":true}']]
    .flatMap(([id, name, json], index) => [
      chunk({ tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] }),
      ...portions(json, 5).map((piece) =>
        chunk({ tool_calls: [{ index, function: { arguments: piece } }] })
      ),
    ]),
  chunk({}, "tool_calls"),
  usageChunk(30, 12),
];

/** A stream of words, as most engines say it. */
export function words(...texts: string[]): ChatChunk[] {
  return [
    chunk({ role: "assistant", content: "" }),
    ...texts.map((content) => chunk({ content })),
    chunk({}, "stop"),
    usageChunk(9, texts.length),
  ];
}

/** What a dialect's own watch sees of what the client is told. */
export function watched(dialect: Dialect, text: string, size = 11) {
  const watch = dialect.watch();
  for (const portion of portions(text, size)) watch.push(portion);
  const { hasSpoken, tokens, isComplete, fault } = watch;
  return { hasSpoken, tokens, isComplete, fault };
}
