/** Draws QR codes: in a terminal, as SVG and as PNG. */

import qrcode from "qrcode";

/** Of the library what is used here; its types would bring those of all of Node. */
const library = qrcode as {
  create(
    text: string,
    options: { errorCorrectionLevel: "L" | "M" },
  ): { modules: { size: number; data: Uint8Array } };
};

/** Light modules around a code: what readers ask for (ISO/IEC 18004). */
const QUIET_ZONE = 4;
/** In a terminal: 24 lines have no room for more beside a code of version 6, and cameras none need. */
const TERMINAL_QUIET_ZONE = 2;
/** Pixels of a module in a PNG: a code of version 6 is 392 pixels wide then. */
const MODULE_PIXELS = 8;

/** The lowest of the 256-colour palette's greys and the highest, which no theme changes. */
const BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m";
const RESET = "\x1b[0m";

/** How a terminal shows a code. */
export interface TerminalDrawing {
  /**
   * Black on white, whatever the terminal's colours are; without them it is for light letters on a
   * dark ground.
   */
  readonly colours: boolean;
  /**
   * Without colours: for dark letters on a light ground.
   *
   * @default {false}
   */
  readonly inverted?: boolean;
}

/**
 * The lines of a code in a terminal, two modules above each other in one character; the longest code
 * of this program takes 45 columns and 23 lines.
 */
export function drawTerminal(
  text: string,
  { colours, inverted = false }: TerminalDrawing,
): string[] {
  const isDark = modules(text, "L");
  const { size } = isDark;
  const from = -TERMINAL_QUIET_ZONE;
  const to = size + TERMINAL_QUIET_ZONE;
  // With colours the letters are black: they draw what is dark. Else what the ground is not.
  const draws = (x: number, y: number) => y < to && isDark.at(x, y) === (colours || inverted);
  const lines: string[] = [];
  for (let y = from; y < to; y += 2) {
    let line = "";
    for (let x = from; x < to; x++) {
      const [upper, lower] = [draws(x, y), draws(x, y + 1)];
      line += upper ? lower ? "█" : "▀" : lower ? "▄" : " ";
    }
    lines.push(colours ? `${BLACK_ON_WHITE}${line}${RESET}` : line);
  }
  return lines;
}

/** A code as an SVG document. */
export function drawSvg(text: string): string {
  const isDark = modules(text, "M");
  const { size } = isDark;
  const width = size + 2 * QUIET_ZONE;
  let path = "";
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (isDark.at(x, y)) path += `M${x + QUIET_ZONE} ${y + QUIET_ZONE}h1v1h-1z`;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${width}" ` +
    `width="${width * MODULE_PIXELS}" height="${width * MODULE_PIXELS}" ` +
    `shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${width}v${width}H0z"/>` +
    `<path d="${path}"/></svg>\n`;
}

/** A code as a PNG file. */
export async function drawPng(text: string): Promise<Uint8Array> {
  const { PNG } = await import("pngjs");
  const isDark = modules(text, "M");
  const width = (isDark.size + 2 * QUIET_ZONE) * MODULE_PIXELS;
  const picture = new PNG({ width, height: width });
  for (let y = 0; y < width; y++) {
    for (let x = 0; x < width; x++) {
      const at = [x, y].map((pixel) => Math.floor(pixel / MODULE_PIXELS) - QUIET_ZONE);
      const shade = isDark.at(at[0], at[1]) ? 0 : 255;
      picture.data.set([shade, shade, shade, 255], 4 * (y * width + x));
    }
  }
  return new Uint8Array(PNG.sync.write(picture, { colorType: 0 }));
}

/** Which modules of a code are dark; what is outside is light. */
function modules(
  text: string,
  errorCorrectionLevel: "L" | "M",
): { size: number; at(x: number, y: number): boolean } {
  const { modules: { size, data } } = library.create(text, { errorCorrectionLevel });
  return {
    size,
    at: (x, y) => x >= 0 && y >= 0 && x < size && y < size && data[y * size + x] !== 0,
  };
}
