/** What is said in parts, as engines take it best. */

import type { ChatPart } from "./chat.ts";

/** A part that is a text. */
export function textPart(text: string): ChatPart {
  return { type: "text", text };
}

/** A part that is a picture, by a URL or as `data:`. */
export function imagePart(url: string): ChatPart {
  return { type: "image_url", image_url: { url } };
}

/** Texts alone are one text: not every engine takes parts. */
export function contentOf(parts: readonly ChatPart[]): string | ChatPart[] {
  const texts = parts.flatMap((part) => part.type === "text" ? [part.text] : []);
  return texts.length === parts.length ? texts.join("\n") : [...parts];
}
