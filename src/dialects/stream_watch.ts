/** What is seen of an answer in pieces as it goes by: server-sent events, or lines of JSON. */

import type { JsonValue } from "../base/bounded_json.ts";
import { safeLine } from "../base/safe_text.ts";
import type { JsonObject, StreamWatch } from "./dialect.ts";
import { DONE, EventReader } from "./events.ts";
import { isObject } from "./fields.ts";
import { LineSplitter } from "../base/lines.ts";

/** Of what an engine says about an error, so much is told. */
const MAX_FAULT_LENGTH = 1_000;
/** Of what is no JSON, so much is shown. */
const MAX_SHOWN = 80;
/** A last line without its end is looked at up to this length. */
const MAX_UNENDED = 65_536;

/** What was seen so far. */
export class Findings {
  hasSpoken = false;
  isComplete = false;
  fault: string | undefined;
  /** Choices of a chat that have begun, and those of them that said why they end. */
  readonly #begun = new Set<number>();
  readonly #finished = new Set<number>();
  /** As the engine counted, last time that it did. */
  #counted = 0;
  /** Pieces since then. */
  #pieces = 0;

  get tokens(): number {
    return this.#counted + this.#pieces;
  }

  /** A piece was said. */
  piece(): void {
    this.hasSpoken = true;
    this.#pieces++;
  }

  /** A choice of a chat has said something; `ends` if it has said why it ends. */
  choice(index: number, ends: boolean): void {
    this.#begun.add(index);
    if (ends) this.#finished.add(index);
  }

  /** Whether all choices of a chat have said why they end. */
  get areFinished(): boolean {
    return this.#begun.size > 0 && this.#begun.size === this.#finished.size;
  }

  /** The engine says how many tokens there were so far. */
  counted(tokens: JsonValue | undefined): void {
    // Some say zero until the end.
    if (typeof tokens !== "number" || !(tokens > 0) || !Number.isFinite(tokens)) return;
    this.#counted = Math.floor(tokens);
    this.#pieces = 0;
  }

  /** Something is wrong; the first thing counts. */
  wrong(fault: string): void {
    this.fault ??= fault;
  }
}

/** Judges one piece of a dialect; errors that engines tell are found before. */
export type Judge = (piece: JsonObject, findings: Findings) => void;

/** Watches over server-sent events. */
export function watchEvents(judge: Judge): StreamWatch {
  return new EventWatch(judge);
}

/** Watches over lines of JSON. */
export function watchLines(judge: Judge): StreamWatch {
  return new LineWatch(judge);
}

abstract class Watch implements StreamWatch {
  protected readonly findings = new Findings();
  readonly #judge: Judge;

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  abstract push(text: string): void;
  abstract get isComplete(): boolean;
  abstract get missingEnd(): string;

  get hasSpoken(): boolean {
    return this.findings.hasSpoken;
  }

  get tokens(): number {
    return this.findings.tokens;
  }

  get fault(): string | undefined {
    return this.findings.fault;
  }

  protected get isOver(): boolean {
    return this.findings.isComplete || this.findings.fault !== undefined;
  }

  protected tooLong(): void {
    this.findings.wrong("a piece of the answer is longer than 16 MiB");
  }

  protected judge(json: string, name: string): void {
    const { findings } = this;
    let piece: unknown;
    try {
      piece = JSON.parse(json);
    } catch {
      findings.wrong(name === "error" ? told(json) : noPiece(json));
      return;
    }
    try {
      const error = errorIn(piece, name);
      // One that ends with an error may say more than that: how far it came.
      if (isObject(piece)) this.#judge(piece, findings);
      else findings.wrong(error ?? noPiece(json));
      if (error !== undefined) findings.wrong(error);
    } catch {
      // Nested so deeply that it cannot be walked.
      findings.wrong(noPiece(json));
    }
  }
}

class EventWatch extends Watch {
  readonly #events = new EventReader();
  readonly #take = (data: string, name: string) => {
    if (this.isOver) return;
    if (data === DONE) this.findings.isComplete = true;
    else if (data !== "") this.judge(data, name);
  };

  push(text: string): void {
    if (this.isOver) return;
    if (!this.#events.push(text, this.#take)) this.tooLong();
  }

  get isComplete(): boolean {
    return this.#hasEnd || this.findings.fault === undefined && this.findings.areFinished;
  }

  get missingEnd(): string {
    return this.#hasEnd || !this.isComplete ? "" : `data: ${DONE}\n\n`;
  }

  get #hasEnd(): boolean {
    const { isComplete, fault } = this.findings;
    return isComplete || fault === undefined && this.#events.endsWithDone;
  }
}

class LineWatch extends Watch {
  readonly missingEnd = "";
  readonly #lines = new LineSplitter();
  readonly #take = (line: string) => {
    if (!this.isOver && line.trim() !== "") this.judge(line, "");
  };

  push(text: string): void {
    if (this.isOver) return;
    if (!this.#lines.push(text, this.#take)) this.tooLong();
  }

  /** The last line may come without its end: it counts where it is one. */
  get isComplete(): boolean {
    const { findings } = this;
    const { rest } = this.#lines;
    if (!this.isOver && rest.length < MAX_UNENDED && /\}\s*$/.test(rest) && isJson(rest)) {
      this.#lines.push("\n", this.#take);
    }
    return findings.isComplete;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * The error that a piece tells, in any of the ways of engines; undefined where it tells none.
 *
 * @param name The event's, where it has one.
 */
export function errorIn(piece: unknown, name = ""): string | undefined {
  if (!isObject(piece)) return name === "error" ? told(JSON.stringify(piece)) : undefined;
  const { error } = piece;
  if (error !== undefined && error !== null && error !== false) {
    if (typeof error === "string") return told(error);
    return told(isObject(error) && messageIn(error) || JSON.stringify(error));
  }
  // vLLM had no `error` in it; OpenAI's Responses have everything at its top.
  if (piece.object === "error" || piece.type === "error" || name === "error") {
    return told(messageIn(piece) ?? JSON.stringify(piece));
  }
  return undefined;
}

function messageIn({ message, detail }: JsonObject): string | undefined {
  if (typeof message === "string" && message !== "") return message;
  return typeof detail === "string" && detail !== "" ? detail : undefined;
}

function told(message: string): string {
  return safeLine(message.slice(0, 4 * MAX_FAULT_LENGTH)).slice(0, MAX_FAULT_LENGTH) ||
    "the engine tells an error without a word";
}

function noPiece(text: string): string {
  const start = safeLine(text.slice(0, 4 * MAX_SHOWN)).slice(0, MAX_SHOWN);
  return `what stands in the place of a piece is none: ${start}`;
}
