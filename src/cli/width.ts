/** How many columns of a terminal a text takes, and cutting it to fit. */

// Unicode's East Asian Wide and Fullwidth (UAX #11), in whole blocks, and emoji.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
// Two of them are one flag.
const HALF_OF_A_FLAG = /\p{Regional_Indicator}/u;
// Accents and the like stand on the character before them.
const NO_WIDTH = /\p{Mn}|\p{Me}|\p{Cf}/u;

const ELLIPSIS = "…";

/** Columns that a text without control characters takes on a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

/** The text, or as much of its beginning as fits with an ellipsis into `columns`. */
export function cutToWidth(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let cut = "";
  let width = ELLIPSIS.length;
  for (const character of text) {
    width += widthOf(character);
    if (width > columns) break;
    cut += character;
  }
  return columns < 1 ? "" : cut + ELLIPSIS;
}

/**
 * The text in lines of at most `columns`, parted at blanks; only a word that is wider is cut.
 *
 * @param indent What stands before the first line.
 * @param hanging What stands before the others.
 */
export function wrap(text: string, columns: number, indent = "", hanging = indent): string[] {
  const [first, ...words] = text.split(" ");
  const lines = [indent + first];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (displayWidth(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(hanging + word);
  }
  return lines.map((line) => cutToWidth(line, columns));
}

function widthOf(character: string): number {
  if (character < "\u0300") return 1;
  if (NO_WIDTH.test(character)) return 0;
  return WIDE.test(character) && !HALF_OF_A_FLAG.test(character) ? 2 : 1;
}
