/**
 * How fast each device answers with each model: the time to the first token and from one to the
 * next, of what this node has asked. Answers differ in length, so figures per token say more than
 * how long whole answers took.
 */

import type { AgentTimes, ServiceTimes } from "../../routing/expectation.ts";
import type { EngineFigures } from "./engine_call.ts";

/** How fast a model is on a device, of what this node has asked. */
export interface ModelSpeed {
  /** Until the first token, in milliseconds; null where all answers came whole. */
  readonly firstTokenMs: number | null;
  /** Null where answers had one token, or none was counted. */
  readonly tokensPerSecond: number | null;
}

/** Each new figure counts for a quarter: a device that gets other work is known after a few. */
const WEIGHT = 1 / 4;
/** More models than a network has, and more devices than one node has links to. */
const MAX_MODELS = 1_024;
const MAX_NODES = 1_024;

/** A mean that begins with its first figure. */
class Mean {
  value: number | undefined;

  note(figure: number): void {
    this.value = this.value === undefined ? figure : this.value + (figure - this.value) * WEIGHT;
  }
}

class DeviceTimes {
  readonly firstMs = new Mean();
  readonly perTokenMs = new Mean();
  /** Of whole answers whose tokens nobody has counted: embeddings, for one. */
  readonly wholeMs = new Mean();
}

/** What was measured of one model. */
class OneModel implements AgentTimes {
  readonly #devices = new Map<string, DeviceTimes>();
  readonly #tokens = new Mean();
  readonly #ms = new Mean();
  readonly #work = new Mean();

  note(nodeId: string, { firstMs, tokens }: EngineFigures, ms: number, tflops: number): void {
    let times = this.#devices.get(nodeId);
    if (times === undefined) {
      times = new DeviceTimes();
      this.#devices.set(nodeId, times);
      if (this.#devices.size > MAX_NODES) {
        this.#devices.delete(this.#devices.keys().next().value!);
      }
    }
    // Of one that came whole nobody knows when it began.
    const began = firstMs ?? times.firstMs.value ?? 0;
    if (firstMs !== null) times.firstMs.note(firstMs);
    if (tokens > 1) {
      this.#tokens.note(tokens);
      if (ms > began) times.perTokenMs.note((ms - began) / (tokens - 1));
    } else if (firstMs === null) times.wholeMs.note(ms);
    const usual = this.on(nodeId)!;
    this.#ms.note(usual);
    this.#work.note(usual * tflops);
  }

  get ms(): number {
    return this.#ms.value!;
  }

  get work(): number {
    return this.#work.value!;
  }

  /** An answer of usual length. */
  on(nodeId: string): number | undefined {
    const times = this.#devices.get(nodeId);
    if (times === undefined) return undefined;
    const { firstMs: { value: first }, perTokenMs: { value: each }, wholeMs } = times;
    if (first === undefined && each === undefined) return wholeMs.value ?? 0;
    return (first ?? 0) + (each ?? 0) * Math.max(0, (this.#tokens.value ?? 1) - 1);
  }

  speed(nodeId: string): ModelSpeed | undefined {
    const times = this.#devices.get(nodeId);
    if (times === undefined) return undefined;
    const { firstMs: { value: firstTokenMs = null }, perTokenMs: { value: perTokenMs } } = times;
    return {
      firstTokenMs,
      tokensPerSecond: perTokenMs === undefined || perTokenMs === 0 ? null : 1_000 / perTokenMs,
    };
  }
}

/** See the top of the file. */
export class ModelTimes {
  readonly #models = new Map<string, OneModel>();

  /**
   * A call has ended well.
   *
   * @param ms How long it took on its device.
   * @param tflops The speed of the device.
   */
  note(model: string, nodeId: string, figures: EngineFigures, ms: number, tflops: number): void {
    let times = this.#models.get(model);
    if (times === undefined) {
      times = new OneModel();
      this.#models.set(model, times);
      if (this.#models.size > MAX_MODELS) this.#models.delete(this.#models.keys().next().value!);
    }
    times.note(nodeId, figures, ms, tflops);
  }

  /** As routing sees it: those who wait on a device wait for calls of the same model. */
  of(model: string): ServiceTimes {
    const times = this.#models.get(model);
    return { of: () => times, mean: (nodeId) => times?.on(nodeId) };
  }

  /** Undefined where this node has asked none. */
  speed(model: string, nodeId: string): ModelSpeed | undefined {
    return this.#models.get(model)?.speed(nodeId);
  }
}
