/** What a model is told of a run: how to behave, what was said before, what it is asked. Pure. */

import type { RunMessage } from "../run_state.ts";
import type { ModelMessage } from "./model.ts";

/**
 * Of what was said before, so many UTF-16 units: some 8,000 tokens, which leaves even models that
 * hold 16,000 room for tools and an answer.
 */
const MAX_HISTORY_LENGTH = 32_000;

/** What a conversation begins with. */
export interface Beginning {
  /** Whose it is: what it said itself it is told as its own words. */
  readonly agent: string;
  /** How it is to behave; "" if nobody says. */
  readonly system: string;
  readonly prompt: string;
  /** Text beside the prompt; "" if there is none. */
  readonly context: string;
  /** What was said in the run and its thread, in order. */
  readonly messages: readonly RunMessage[];
}

/** The first messages to a model. */
export function beginning(parts: Beginning): ModelMessage[] {
  const { agent, system, prompt, context } = parts;
  const earlier = before(parts);
  const stage = earlier.filter(({ role }) => role === "system").map(({ content }) => content);
  const instructions = [system, ...stage].filter((text) => text.trim() !== "").join("\n\n");
  const said = earlier.filter(({ role }) => role !== "system")
    .map((message) => toModelMessage(message, agent));
  const asked = context === "" ? prompt : `${prompt}\n\n${context}`;
  return [
    ...(instructions === "" ? [] : [{ role: "system", content: instructions } as const]),
    ...inTurns([...said, { role: "user", content: asked }]),
  ];
}

/** What was said before, the newest as far as there is room. */
function before({ messages, prompt }: Beginning): readonly RunMessage[] {
  const last = messages.at(-1);
  // The run begins with what is asked; who is asked something else sees the whole run.
  const isAsked = last?.role === "user" && last.content === prompt;
  const earlier = isAsked ? messages.slice(0, -1) : messages;
  let room = MAX_HISTORY_LENGTH;
  const from = earlier.findLastIndex(({ content }) => (room -= content.length) < 0) + 1;
  return earlier.slice(from);
}

function toModelMessage({ role, agent, content }: RunMessage, self: string): Spoken {
  if (role === "assistant" && (agent === undefined || agent === self)) return { role, content };
  return { role: "user", content: role === "user" ? content : `Agent "${agent}" says: ${content}` };
}

type Spoken = { role: "user" | "assistant"; content: string };

/** Templates of many models take nothing but turns. */
function inTurns(messages: readonly Spoken[]): Spoken[] {
  const turns: Spoken[] = [];
  for (const message of messages) {
    const last = turns.at(-1);
    if (last?.role !== message.role) turns.push({ ...message });
    else last.content += `\n\n${message.content}`;
  }
  return turns;
}
