/** What an engine says at `/v1/chat/completions`, in pieces: watched over, and read. */

import type { ChatChunk } from "./chat.ts";
import { saidIn, usedIn } from "./chat_answer.ts";
import type { StreamWatch } from "./dialect.ts";
import { isObject } from "./fields.ts";
import { type Judge, watchEvents } from "./stream_watch.ts";

/** Judges a piece of a chat, or of a completion of a prompt. */
export const judgeChat: Judge = (piece, findings) => {
  const chunk = piece as unknown as ChatChunk;
  for (const { index, text, thought, calls, finish } of saidIn(chunk)) {
    findings.choice(index, finish !== undefined);
    if (text !== "" || thought !== "" || calls.length > 0) findings.piece();
    if (finish !== undefined) findings.hasSpoken = true;
  }
  if (Array.isArray(piece.choices)) {
    // Completions have their text in the choice itself.
    for (const choice of piece.choices) {
      if (isObject(choice) && typeof choice.text === "string" && choice.text !== "") {
        findings.piece();
      }
    }
  }
  findings.counted(usedIn(chunk)?.output);
};

/**
 * Reads the stream of an engine for a {@linkcode PieceTranslator}, and watches over it: each piece
 * is parsed once.
 *
 * @example
 * ```ts ignore
 * const reader = new ChatStreamReader();
 * for await (const text of texts) {
 *   for (const chunk of reader.push(text)) send(pieces.push(chunk));
 *   if (reader.fault !== undefined) break;
 * }
 * ```
 */
export class ChatStreamReader implements StreamWatch {
  #chunks: ChatChunk[] = [];
  readonly #watch = watchEvents((piece, findings) => {
    judgeChat(piece, findings);
    if (Array.isArray(piece.choices) || isObject(piece.usage)) {
      this.#chunks.push(piece as unknown as ChatChunk);
    }
  });

  /** Takes the next portion; returns the pieces that ended in it, as the engine said them. */
  push(text: string): readonly ChatChunk[] {
    this.#watch.push(text);
    const chunks = this.#chunks;
    if (chunks.length > 0) this.#chunks = [];
    return chunks;
  }

  get hasSpoken(): boolean {
    return this.#watch.hasSpoken;
  }

  get tokens(): number {
    return this.#watch.tokens;
  }

  get isComplete(): boolean {
    return this.#watch.isComplete;
  }

  get missingEnd(): string {
    return this.#watch.missingEnd;
  }

  get fault(): string | undefined {
    return this.#watch.fault;
  }
}
