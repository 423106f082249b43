/** Server-sent events: read in any portions, and written. */

import { LineSplitter, MAX_LINE_LENGTH } from "../base/lines.ts";

/** What stands in the last event of OpenAI's streams. */
export const DONE = "[DONE]";

/** Is told an event: its data, its name or "". */
export type TakeEvent = (data: string, name: string) => void;

/**
 * Reads events.
 *
 * Engines deviate: llama.cpp has told errors in a field `error`, and Ollama as a line of JSON that
 * is in no field at all. Both become events by the name `error`; other fields, and comments, are
 * passed over.
 */
export class EventReader {
  readonly #lines = new LineSplitter();
  #name = "";
  #data: string | undefined;
  #isFirst = true;
  #isTooLong = false;

  /** Whether all that is left is the last event of OpenAI's streams, without its empty line. */
  get endsWithDone(): boolean {
    if (this.#data === DONE) return true;
    const { rest } = this.#lines;
    return rest.length < 16 && /^data: ?\[DONE\]$/.test(rest);
  }

  /**
   * Takes the next portion.
   *
   * @returns Whether no line, and no event, was too long.
   */
  push(text: string, take: TakeEvent): boolean {
    let given = text;
    if (this.#isFirst && text !== "") {
      this.#isFirst = false;
      if (text.startsWith("\ufeff")) given = text.slice(1);
    }
    return this.#lines.push(given, (line) => this.#line(line, take)) && !this.#isTooLong;
  }

  #line(line: string, take: TakeEvent): void {
    if (line === "") {
      const data = this.#data;
      const name = this.#name;
      this.#data = undefined;
      this.#name = "";
      if (data !== undefined) take(data, name);
    } else if (line.startsWith("data:")) {
      const value = valueAfter(line, 5);
      if (this.#data === undefined) this.#data = value;
      else if (this.#data.length + value.length > MAX_LINE_LENGTH) this.#isTooLong = true;
      else this.#data += `\n${value}`;
    } else if (line.startsWith("event:")) {
      this.#name = valueAfter(line, 6);
    } else if (line.startsWith("error:")) {
      take(valueAfter(line, 6), "error");
    } else if (line.startsWith("{")) {
      take(line, "error");
    }
  }
}

/** One blank after the colon belongs to it. */
function valueAfter(line: string, at: number): string {
  return line.slice(line.charCodeAt(at) === 0x20 ? at + 1 : at);
}

/** An event as text. */
export function eventText(value: unknown, name?: string): string {
  return `${name === undefined ? "" : `event: ${name}\n`}data: ${JSON.stringify(value)}\n\n`;
}

/** A line of JSON as text. */
export function lineText(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
