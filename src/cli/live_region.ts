/** Lines at the bottom of the terminal that are drawn anew in place, with a log that grows above. */

/** Where it is drawn: a terminal's stdout, or its stderr. */
export interface Screen {
  /** Whether a person is looking. */
  readonly isInteractive: boolean;
  /** Lines that it has. */
  readonly rows: number;
  write(text: string): void;
  line(text: string): void;
}

/**
 * A part of the terminal that is redrawn. Only for people: on anything but a terminal each
 * {@linkcode print} is a plain line and {@linkcode show} does nothing.
 */
export class LiveRegion {
  readonly #screen: Screen;
  #lines: readonly string[] = [];

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** Shows these lines in place of the last ones; none of them may be wider than the terminal. */
  show(lines: readonly string[]): void {
    if (!this.#screen.isInteractive) return;
    // What has scrolled out of the screen cannot be drawn anew.
    const room = Math.max(2, this.#screen.rows - 2);
    const hidden = lines.length - room;
    const shown = hidden > 0 ? [...lines.slice(0, room - 1), `… ${hidden + 1} more`] : lines;
    this.#draw("", shown);
  }

  /** Writes a line above what is shown. */
  print(line: string): void {
    if (this.#screen.isInteractive) this.#draw(`${line}\n`, this.#lines);
    else this.#screen.line(line);
  }

  /** Leaves what is shown where it is; what follows is written below. */
  end(): void {
    this.#lines = [];
  }

  #draw(above: string, lines: readonly string[]): void {
    // To the beginning of the region, and clear from there to the end of the screen.
    const back = this.#lines.length === 0 ? "" : `\x1b[${this.#lines.length}A\r\x1b[J`;
    this.#lines = lines;
    this.#screen.write(back + above + lines.map((line) => `${line}\n`).join(""));
  }
}
