/** Which devices can do a task at all, and what the others lack. */

import type { Requirements } from "../agents/requirements.ts";
import type { Candidate } from "./candidate.ts";
import type { RouteRequest } from "./strategy.ts";

/** Why the device cannot do it, or undefined when it can. */
export function shortcoming(
  candidate: Candidate,
  request: Pick<RouteRequest, "agent" | "requirements" | "tried">,
): string | undefined {
  if (!candidate.agents.has(request.agent)) return "does not have the agent";
  if (candidate.isDraining) return "is draining";
  if (request.tried.has(candidate.nodeId)) return "has failed at it";
  return unmet(candidate, request.requirements);
}

/** What the device lacks of what is asked, or undefined when it lacks nothing. */
export function unmet(candidate: Candidate, needs: Readonly<Requirements>): string | undefined {
  const { capabilities: has } = candidate;
  // Unified memory is main memory that the GPU can use.
  const vram = has.unifiedMemory ? has.memory : has.vram;
  const { flops } = needs;
  return tooLittle("memory", needs.memory, has.memory, "MB") ??
    tooLittle("video memory", needs.vram, vram, "MB") ??
    (flops &&
      (tooLittle("FP32", flops.fp32, has.flops.fp32, "TFLOPS") ??
        tooLittle("FP16", flops.fp16, has.flops.fp16, "TFLOPS") ??
        tooLittle("INT8", flops.int8, has.flops.int8, "TOPS"))) ??
    (needs.gpu === true && has.gpus.length === 0 ? "has no GPU" : undefined) ??
    (needs.chip !== undefined && !chipMatches(candidate, needs.chip)
      ? `has no chip called ${needs.chip}`
      : undefined) ??
    (needs.vendor !== undefined && !vendorMatches(candidate, needs.vendor)
      ? `has nothing made by ${needs.vendor}`
      : undefined) ??
    (needs.model !== undefined && !candidate.models.has(needs.model)
      ? `does not have the model ${needs.model}`
      : undefined) ??
    (needs.model === undefined ? undefined : tooLittle(
      "context",
      needs.contextLength,
      candidate.models.get(needs.model)?.contextLength ?? null,
      "tokens",
    )) ??
    lacking("tool", needs.tools, candidate.tools) ??
    lacking("label", needs.labels, candidate.labels);
}

function tooLittle(
  what: string,
  needed: number | undefined,
  has: number | null,
  unit: string,
): string | undefined {
  if (needed === undefined || (has !== null && has >= needed)) return undefined;
  return has === null
    ? `does not say its ${what}, ${needed} ${unit} are needed`
    : `has ${has} ${unit} of ${what}, ${needed} are needed`;
}

function lacking(
  what: string,
  needed: readonly string[] | undefined,
  has: ReadonlySet<string>,
): string | undefined {
  const missing = needed?.find((one) => !has.has(one));
  return missing === undefined ? undefined : `does not have the ${what} ${missing}`;
}

function chipMatches({ capabilities: { chip, gpus } }: Candidate, wanted: string): boolean {
  const needle = wanted.toLowerCase();
  return [chip ?? "", ...gpus.map(({ name }) => name)]
    .some((name) => name.toLowerCase().includes(needle));
}

/** A GPU says who made it; of a chip it is the first word: `Apple M3`, `Intel Core i7`. */
function vendorMatches({ capabilities: { chip, gpus } }: Candidate, wanted: string): boolean {
  const needle = wanted.toLowerCase();
  return gpus.some(({ vendor }) => vendor === needle) ||
    chip?.toLowerCase().split(" ")[0] === needle;
}
