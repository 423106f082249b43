/** Engines that do what the test says, and the agent that asks them. */

import type { AgentAnswer, AgentContext } from "../../../src/agents/agent.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import type { EngineAnswer, EngineCall } from "../../../src/engines/engine_call.ts";
import type { FoundModel } from "../../../src/engines/engine_watch.ts";
import type { ModelDescription } from "../../../src/engines/model.ts";
import { createEngineAgent } from "../../../src/network/models/engine_agent.ts";
import type { EngineTask } from "../../../src/network/models/engine_call.ts";

/** What an engine answers: a body whole or in pieces, and how it ends. */
export interface Script {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | readonly (string | Error | (() => Promise<void> | void))[];
}

/** An engine of the test's, and what was asked of it. */
export interface ScriptedModel extends FoundModel {
  readonly asked: EngineCall[];
  /** How many of its answers were left before their end. */
  left: number;
}

/** A model whose engine answers by a script; an error is what asking it fails with. */
export function scripted(
  { id = "own", script = {}, paths = [], ...description }:
    & Partial<ModelDescription>
    & { id?: string; script?: Script | Error | (() => Script | Error); paths?: string[] },
): ScriptedModel {
  const model: ScriptedModel = {
    id,
    asked: [],
    left: 0,
    description: {
      name: "m",
      engine: "vllm",
      sizeBytes: null,
      parameters: null,
      contextLength: null,
      quantization: null,
      capabilities: ["chat"],
      loaded: true,
      lastResort: false,
      ...description,
    },
    hasPath: (path) => Promise.resolve(paths.includes(path)),
    ask(call) {
      model.asked.push(call);
      const said = typeof script === "function" ? script() : script;
      return said instanceof Error ? Promise.reject(said) : Promise.resolve(answer(said, model));
    },
  };
  return model;
}

function answer(script: Script, model: ScriptedModel): EngineAnswer {
  const { status = 200, type = "application/json", headers, body = "" } = script;
  const pieces = (async function* () {
    const encoder = new TextEncoder();
    let isOver = false;
    try {
      for (const piece of [body].flat()) {
        if (piece instanceof Error) throw piece;
        if (typeof piece === "function") await piece();
        else yield encoder.encode(piece);
      }
      isOver = true;
    } finally {
      if (!isOver) model.left++;
    }
  })();
  return {
    status,
    headers: { "content-type": type, ...headers },
    body: pieces,
    bytes: (maxBytes) => allOf(pieces, maxBytes),
  };
}

/** As `askEngine` reads a whole answer. */
export async function allOf(
  pieces: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const all: number[] = [];
  for await (const piece of pieces) {
    if (all.length + piece.length > maxBytes) {
      throw new NetworkError("RESOURCE_EXHAUSTED", "The answer is too long.");
    }
    for (const byte of piece) all.push(byte);
  }
  return new Uint8Array(all);
}

/** What was told of a call, and what it came to. */
export interface Told {
  /** The head of a stream, or the data of a whole answer. */
  // deno-lint-ignore no-explicit-any
  readonly head: any;
  /** What the client is told. */
  readonly text: string;
  readonly pieces: readonly string[];
  readonly answer: AgentAnswer | undefined;
  readonly error: NetworkError | undefined;
}

export const chatBody = JSON.stringify({
  model: "m",
  max_tokens: 100,
  messages: [{ role: "user", content: "hi" }],
});

/** Asks the engines of a device, and reads all that comes. */
export async function askEngines(
  engines: readonly FoundModel[],
  {
    body = chatBody,
    clock = new ManualClock(),
    signal = new AbortController().signal,
    onPiece = () => {},
    ...task
  }: Partial<EngineTask> & {
    body?: string;
    clock?: ManualClock;
    signal?: AbortSignal;
    onPiece?: (piece: string) => void;
  } = {},
): Promise<Told> {
  const agent = createEngineAgent({
    engines: { find: () => [...engines] },
    clock,
    newId: () => "1",
  });
  const context = JSON.stringify({
    dialect: "openai-chat",
    model: "m",
    asked: "m",
    stream: false,
    ...task,
  });
  const pieces: string[] = [];
  try {
    const running = agent.run({ prompt: body, context, signal } as AgentContext);
    let answer: AgentAnswer;
    if (Symbol.asyncIterator in (running as object)) {
      const generator = running as AsyncGenerator<string, AgentAnswer>;
      for (;;) {
        const { done, value } = await generator.next();
        if (done) {
          answer = value;
          break;
        }
        pieces.push(value);
        onPiece(value);
      }
    } else answer = await running as AgentAnswer;
    const isStream = task.stream === true;
    return {
      head: isStream ? JSON.parse(pieces[0]) : answer.data,
      text: isStream ? pieces.slice(1).join("") : answer.output,
      pieces,
      answer,
      error: undefined,
    };
  } catch (thrown) {
    if (!(thrown instanceof NetworkError)) throw thrown;
    return {
      head: undefined,
      text: pieces.slice(1).join(""),
      pieces,
      answer: undefined,
      error: thrown,
    };
  }
}
