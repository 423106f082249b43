/** Lines at the bottom of the terminal that are drawn anew in place, with a log that grows above. */

import type { Terminal } from "./terminal.ts";

/**
 * A part of the terminal that is redrawn. Only for people: on anything but a terminal each
 * {@linkcode print} is a plain line and {@linkcode show} does nothing.
 */
export class LiveRegion {
  readonly #terminal: Terminal;
  #lines: readonly string[] = [];

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Shows these lines in place of the last ones; none of them may be wider than the terminal. */
  show(lines: readonly string[]): void {
    if (!this.#terminal.isInteractive) return;
    // What has scrolled out of the screen cannot be drawn anew.
    const room = Math.max(2, this.#terminal.rows - 2);
    const hidden = lines.length - room;
    const shown = hidden > 0 ? [...lines.slice(0, room - 1), `… ${hidden + 1} more`] : lines;
    this.#draw("", shown);
  }

  /** Writes a line above what is shown. */
  print(line: string): void {
    if (this.#terminal.isInteractive) this.#draw(`${line}\n`, this.#lines);
    else this.#terminal.line(line);
  }

  /** Leaves what is shown where it is; what follows is written below. */
  end(): void {
    this.#lines = [];
  }

  #draw(above: string, lines: readonly string[]): void {
    // To the beginning of the region, and clear from there to the end of the screen.
    const back = this.#lines.length === 0 ? "" : `\x1b[${this.#lines.length}A\r\x1b[J`;
    this.#lines = lines;
    this.#terminal.write(back + above + lines.map((line) => `${line}\n`).join(""));
  }
}
