/** Names and texts from outside, made harmless before they are stored or shown. */

// C0 and C1 controls, DEL, bidirectional overrides and isolates, zero-width characters, BOM, the
// invisible tag characters, halves of surrogate pairs.
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}\p{Surrogate}]/gu;
// The same, but for what a text of several lines and languages needs: newline, tab, joiners.
const UNSAFE_IN_TEXT =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\p{Surrogate}]/gu;

/** One line of at most `maxLength` characters without control or direction characters. */
export function safeName(text: string, maxLength = 128): string {
  return [...text.slice(0, maxLength * 2).replaceAll(UNSAFE, "")].slice(0, maxLength).join("")
    .trim();
}

/** Text as it may be printed to a terminal: newlines and tabs stay, escape sequences do not. */
export function safeText(text: string): string {
  return text.replaceAll(UNSAFE_IN_TEXT, "");
}

/** The same in one line: what comes from outside begins no line of its own. */
export function safeLine(text: string): string {
  return safeText(text.replaceAll(/\s+/g, " ")).trim();
}

/** JSON as a terminal may show it: what would act on one stands there as an escape. */
export function safeJson(json: string): string {
  // It stands within strings only, and below U+0020 `JSON.stringify` has escaped it.
  return json.replaceAll(
    UNSAFE_IN_TEXT,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A node id or an agent's name: a label that is fit for a file name, a URL and a table. */
export const LABEL_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Whether `text` can be a node id or an agent's name. */
export function isLabel(text: string): boolean {
  return LABEL_PATTERN.test(text);
}
