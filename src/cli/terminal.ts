/** Where a command writes: stdout for results, stderr for the rest. */

import { fileError } from "../base/private_file.ts";
import { safeJson } from "../base/safe_text.ts";
import type { Screen } from "./live_region.ts";

/** Colours and weights that {@linkcode Terminal.style} knows. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow";

const CODES: Record<Style, [on: number, off: number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
};

const encoder = new TextEncoder();

/** Stdout and stderr of this process. */
export class Terminal {
  /** Whether the result is for a program: one JSON value on stdout. */
  readonly json: boolean;
  readonly #colours: boolean;

  constructor(options: { json: boolean; colours: boolean }) {
    this.json = options.json;
    this.#colours = options.colours;
  }

  /** Whether a person is looking: only then may something be drawn anew. */
  get isInteractive(): boolean {
    return !this.json && Deno.stdout.isTerminal();
  }

  /** Columns of the terminal; no end of them where there is none: nothing is cut in a file. */
  get columns(): number {
    return this.#size().columns;
  }

  /** Lines of the terminal; no end of them where there is none. */
  get rows(): number {
    return this.#size().rows;
  }

  #size(): { columns: number; rows: number } {
    if (!Deno.stdout.isTerminal()) return { columns: Infinity, rows: Infinity };
    try {
      return Deno.consoleSize();
    } catch {
      return { columns: 80, rows: 24 };
    }
  }

  /** Writes text, or bytes, to stdout as they are. */
  write(what: string | Uint8Array): void {
    try {
      writeAll(Deno.stdout, typeof what === "string" ? encoder.encode(what) : what);
    } catch (cause) {
      // Whoever has read enough is no fault.
      if (cause instanceof Deno.errors.BrokenPipe) throw cause;
      throw fileError("write", "to stdout", cause);
    }
  }

  /** Writes one line to stdout. */
  line(text = ""): void {
    this.write(`${text}\n`);
  }

  /** Writes a value to stdout, on one line. */
  value(value: unknown): void {
    this.write(`${safeJson(JSON.stringify(value))}\n`);
  }

  /** Writes one line to stderr. */
  error(text: string): void {
    writeAll(Deno.stderr, encoder.encode(`${text}\n`));
  }

  /** Stderr, for what is drawn anew while the result goes to stdout. */
  get stderr(): Screen {
    const write = (text: string) => writeAll(Deno.stderr, encoder.encode(text));
    return {
      isInteractive: !this.json && Deno.stderr.isTerminal(),
      rows: this.rows,
      write,
      line: (text) => write(`${text}\n`),
    };
  }

  /** Whether styles are shown. */
  get hasColours(): boolean {
    return this.#colours;
  }

  /** The text in a style, where the terminal shows it. */
  style(style: Style, text: string): string {
    if (!this.#colours) return text;
    const [on, off] = CODES[style];
    return `\x1b[${on}m${text}\x1b[${off}m`;
  }
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}
