/** What an agent asks of the device that is to run it. */

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
}
