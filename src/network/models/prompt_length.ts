/** About how long a request is for the model that reads it: only that itself can count. */

/** Characters of a token, about, in English and in code; other scripts have fewer. */
export const CHARACTERS_PER_TOKEN = 4;
/**
 * Pictures and documents in Base64 begin to look like that after so many characters: what a model
 * makes of them has another length.
 */
const DATA_LENGTH = 512;

/** About how many tokens a request has, pictures left out, from its JSON. */
export function promptTokens(body: string): number {
  if (body.length < DATA_LENGTH) return Math.ceil(body.length / CHARACTERS_PER_TOKEN);
  let { length } = body;
  // No pattern of regular expressions: their matches are bounded by the stack, pictures are not.
  let start = 0;
  for (let at = 0; at <= body.length; at++) {
    if (at < body.length && isBase64(body.charCodeAt(at))) continue;
    if (at - start >= DATA_LENGTH) length -= at - start;
    start = at + 1;
  }
  return Math.ceil(length / CHARACTERS_PER_TOKEN);
}

/** A letter or digit, or one of `+/=_-`. */
function isBase64(unit: number): boolean {
  return unit >= 0x61 && unit <= 0x7a || unit >= 0x41 && unit <= 0x5a ||
    unit >= 0x2f && unit <= 0x39 || unit === 0x2b || unit === 0x3d || unit === 0x5f ||
    unit === 0x2d;
}
