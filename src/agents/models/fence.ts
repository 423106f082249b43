/** JSON as models write it: many put it into a fence. */

const FENCE = "```";

/** What stands in the fence, or all where there is none. No pattern: some write endless newlines. */
export function unfenced(text: string): string {
  const trimmed = text.trim();
  const isFenced = trimmed.length >= 2 * FENCE.length && trimmed.startsWith(FENCE) &&
    trimmed.endsWith(FENCE);
  return isFenced ? trimmed.slice(FENCE.length, -FENCE.length).replace(/^json/, "") : trimmed;
}
