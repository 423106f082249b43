/** What nodes tell each other about others: the notices of membership on a link. */

import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { LABEL_PATTERN } from "../base/safe_text.ts";
import { parseWith } from "../base/schema.ts";

/** The topic of these notices. */
export const RUMOUR_TOPIC = "membership";

/**
 * - `reach?`: does the hearer reach that node? It tries, and answers if it does.
 * - `reached`: the answer.
 * - `suspect`: neither the speaker nor those that it asked reach it.
 * - `alive`: the speaker has heard that it is thought gone, and is not.
 */
export type Rumour =
  | { say: "reach?" | "reached"; nodeId: string; bootId: string }
  | { say: "suspect"; nodeId: string; bootId: string; incarnation: number }
  | { say: "alive"; incarnation: number };

/** One start of one node. */
const subject = { nodeId: z.string().regex(LABEL_PATTERN), bootId: z.string().max(64) };
const incarnation = z.number().int().nonnegative();

const schema: z.ZodType<Rumour> = z.discriminatedUnion("say", [
  z.object({ say: z.literal("reach?"), ...subject }),
  z.object({ say: z.literal("reached"), ...subject }),
  z.object({ say: z.literal("suspect"), ...subject, incarnation }),
  z.object({ say: z.literal("alive"), incarnation }),
]);

/**
 * Reads a rumour off the wire.
 *
 * @throws {NetworkError} `PROTOCOL` when it is none.
 */
export function parseRumour(bytes: Uint8Array): Rumour {
  const value = parseBoundedJson(bytes, { maxBytes: 1_024, maxDepth: 2 });
  return parseWith(schema, value, "PROTOCOL", "Cannot read what the peer says of another");
}
