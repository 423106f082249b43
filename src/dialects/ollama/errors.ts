/** Errors as Ollama's clients know them, and what is seen of its streams. */

import type { CallError, Refusal } from "../dialect.ts";
import { lineText } from "../events.ts";
import { isObject } from "../fields.ts";
import { statusOf } from "../statuses.ts";
import type { Judge } from "../stream_watch.ts";

/** An error in place of an answer. */
export function refuseOllama({ code, message }: CallError): Refusal {
  return { status: statusOf(code), body: { error: message } };
}

/** An error in the middle of one: clients throw it as soon as they read it. */
export function breakOffOllama({ message }: CallError): string {
  return lineText({ error: message });
}

/** Judges a line of a chat, or of what a prompt generates. */
export const judgeOllama: Judge = ({ message, response, thinking, done, eval_count }, findings) => {
  const said = isObject(message) ? message : { content: response, thinking };
  const { content, thinking: thought, tool_calls: calls } = said;
  if (isText(content) || isText(thought) || Array.isArray(calls) && calls.length > 0) {
    findings.piece();
  }
  if (done !== true) return;
  findings.hasSpoken = true;
  findings.isComplete = true;
  findings.counted(eval_count);
};

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}
