/** What an agent asks of the device that is to run it. */

import { z } from "zod";
import { LABEL_PATTERN, safeName } from "../base/safe_text.ts";
import { parseWith } from "../base/schema.ts";

/** How an agent's work may weigh. */
export const WORKLOADS = ["heavy", "light", "background"] as const satisfies Workload[];

/** Labels of one node. */
export const MAX_LABELS = 32;

/**
 * How an agent's work weighs on a device.
 *
 * - `heavy`: goes where it finishes first.
 * - `light`: goes to the smallest device that does it well, so that the big one stays free.
 * - `background`: goes to the smallest device there is; nobody waits for it.
 */
export type Workload = "heavy" | "light" | "background";

/** The least a device must have; a figure that the device does not know does not satisfy it. */
export interface Requirements {
  /** Main memory in MB (2²⁰ bytes). */
  memory?: number;
  /** Memory that a GPU can use, in MB; unified memory counts. */
  vram?: number;
  /** TFLOPS (INT8: TOPS) per precision. */
  flops?: { fp32?: number; fp16?: number; int8?: number };
  /** Whether there must be a GPU. */
  gpu?: boolean;
  /** Part of the chip's name in any case: `"apple"`, `"RTX 4090"`. */
  chip?: string;
  /** Who made the chip or a GPU, in any case: `"nvidia"`, `"apple"`. */
  vendor?: string;
  /** A model that the device can run, by its name. */
  model?: string;
  /** How many tokens that model must take there together with its answer. */
  contextLength?: number;
  /** Tools that agents of the device must have. */
  tools?: readonly string[];
  /** What the owner must have called the device with `--label`: `"gpu-room"`. */
  labels?: readonly string[];
}

/**
 * What satisfies both: of figures the greater, of lists all.
 *
 * @param more What one call asks beside its agent; of two chips, vendors or models its own counts.
 */
export function bothRequirements(agent: Requirements, more: Requirements): Requirements {
  if (Object.keys(agent).length === 0) return more;
  const greater = (a?: number, b?: number) =>
    a === undefined || b === undefined ? a ?? b : Math.max(a, b);
  const all = (a: readonly string[] = [], b: readonly string[] = []) => [...new Set([...a, ...b])];
  const both: Requirements = {
    ...agent,
    ...more,
    memory: greater(agent.memory, more.memory),
    vram: greater(agent.vram, more.vram),
    contextLength: greater(agent.contextLength, more.contextLength),
    gpu: agent.gpu === true || more.gpu === true || undefined,
    flops: agent.flops === undefined && more.flops === undefined ? undefined : {
      fp32: greater(agent.flops?.fp32, more.flops?.fp32),
      fp16: greater(agent.flops?.fp16, more.flops?.fp16),
      int8: greater(agent.flops?.int8, more.flops?.int8),
    },
    tools: all(agent.tools, more.tools),
    labels: all(agent.labels, more.labels),
  };
  return both;
}

const figure = z.number().nonnegative().finite();
const label = z.string().regex(
  LABEL_PATTERN,
  'expected 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit',
);
const name = (length: number) => z.string().max(4 * length).transform((s) => safeName(s, length));

const SHAPE = {
  memory: figure.optional(),
  vram: figure.optional(),
  flops: z.object({
    fp32: figure.optional(),
    fp16: figure.optional(),
    int8: figure.optional(),
  }).optional(),
  gpu: z.boolean().optional(),
  chip: name(128).optional(),
  vendor: name(64).optional(),
  model: name(256).optional(),
  contextLength: figure.optional(),
  tools: z.array(label).max(256).optional(),
  labels: z.array(label).max(MAX_LABELS).optional(),
};

/** What a peer's agents ask; what only a newer version knows is left out. */
export const requirementsSchema: z.ZodType<Requirements> = z.object(SHAPE);

// Named, so that what is wrong is told as `requirements.memory`.
const strictSchema = z.object({ requirements: z.strictObject(SHAPE) });

/**
 * Checks what a caller, or an agent, asks of a device. What is not known is refused: a requirement
 * that is misspelt would let the work go anywhere.
 *
 * @param action What cannot be done otherwise.
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the field that does not fit.
 */
export function checkRequirements(
  requirements: unknown,
  action = "Cannot run an agent",
): Requirements {
  return parseWith(strictSchema, { requirements }, "INVALID_ARGUMENT", action).requirements;
}
