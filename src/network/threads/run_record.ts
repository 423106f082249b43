/** How far a run in a thread is that has not ended, as the shared state keeps it. */

import { z } from "zod";
import type { JsonValue } from "../../base/bounded_json.ts";
import { LABEL_PATTERN } from "../../base/safe_text.ts";

/** Who is asked: an agent, a network of agents step by step, or whom a router of the program names. */
export interface Asked {
  readonly kind: "agent" | "network" | "router";
  /** The name of the agent, the network or the router. */
  readonly name: string;
}

/** One start of one node. */
export interface RunOwner {
  readonly nodeId: string;
  readonly bootId: string;
}

/** See the top of the file. */
export interface RunRecord extends RunOwner {
  readonly asked: Asked;
  /** How many agents have answered. */
  readonly steps: number;
  /** Who was asked and has not answered. */
  readonly calling?: {
    readonly agent: string;
    readonly prompt?: string;
    /** Whether it may be asked again although nobody knows how far it had come. */
    readonly idempotent: boolean;
  };
  /** The text beside the prompt was too long to be kept. */
  readonly lacksContext?: boolean;
  /** What the run failed with: its owner does not go on with it. */
  readonly failure?: string;
}

const labelSchema = z.string().regex(LABEL_PATTERN);

const recordSchema: z.ZodType<RunRecord> = z.strictObject({
  nodeId: labelSchema,
  bootId: z.string().max(64),
  asked: z.strictObject({
    kind: z.enum(["agent", "network", "router"]),
    name: labelSchema,
  }),
  steps: z.int().min(0).max(1_000),
  calling: z.strictObject({
    agent: labelSchema,
    prompt: z.string().optional(),
    idempotent: z.boolean(),
  }).optional(),
  lacksContext: z.boolean().optional(),
  failure: z.string().optional(),
});

/** A record that somebody has written; undefined when it is none. */
export function readRecord(value: JsonValue | undefined): RunRecord | undefined {
  return recordSchema.safeParse(value).data;
}

/** As the shared state keeps it: JSON, without what is undefined. */
export function recordValue(record: RunRecord): JsonValue {
  return JSON.parse(JSON.stringify(record));
}
