/** Runs many prompts, so many at a time, and tells what each came to. */

import { bothRequirements } from "../agents/requirements.ts";
import type { RunResult } from "../agents/run_event.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Candidate } from "../routing/candidate.ts";
import type { AgentTimes } from "../routing/expectation.ts";
import { shortcoming } from "../routing/filter.ts";
import type { RunRequest } from "./run_request.ts";

/**
 * What one prompt of {@linkcode DistributedNetwork.map} came to. `index` is its place among the
 * prompts, from 0.
 */
export type MapItem =
  | { readonly index: number; readonly prompt: string; readonly result: RunResult }
  | { readonly index: number; readonly prompt: string; readonly error: NetworkError };

/** How far a {@linkcode DistributedNetwork.map} has come. */
export interface MapProgress {
  /** Prompts, or devices, that have ended, those that failed among them. */
  readonly done: number;
  /** Prompts that have failed. */
  readonly failed: number;
  /** How many prompts there are; null as long as they have not all been read and are no array. */
  readonly total: number | null;
}

/**
 * When an item is told: `input` in the order of the prompts, `completion` as soon as it has ended.
 */
export type MapOrder = "input" | "completion";

/** Where prompts come from; they are read only as fast as they are worked off. */
export type Prompts = Iterable<string> | AsyncIterable<string>;

/** What {@linkcode mapPrompts} is told. */
export interface MapPromptsOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Runs one prompt, which may take `timeoutMs` milliseconds. */
  readonly run: (prompt: string, timeoutMs: number, signal: AbortSignal) => Promise<RunResult>;
  /** How many may run now, 1 or more; asked each time before one begins. */
  readonly concurrency: () => number;
  readonly order: MapOrder;
  /** How long one prompt may take, in milliseconds, waiting for a device that has room included. */
  readonly timeoutMs: number;
  /** Ends everything. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: MapProgress) => void;
}

/** How many prompts may run at a time. */
export const MAX_CONCURRENCY = 256;
const NOWHERE: ReadonlySet<string> = new Set();
/** Items that may wait for an earlier one, which may be on a much slower device. */
const MAX_HELD_BACK = 1_024;
/** A device that is full says when to come again, but is not obeyed beyond reason. */
const LEAST_WAIT_MS = 10;
const LONGEST_WAIT_MS = 10_000;

/**
 * What each prompt came to. One that fails stops no other. Leaving the loop early stops those that
 * run.
 *
 * @throws {NetworkError} `CANCELLED`, or the signal's reason if it is a `NetworkError`, when the
 * signal aborts. What reading the prompts or `onProgress` throws, after the items of those that
 * were read.
 */
export async function* mapPrompts(
  prompts: Prompts,
  options: MapPromptsOptions,
): AsyncGenerator<MapItem, void, void> {
  const { concurrency, order, signal, onProgress } = options;
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const source = iteratorOf(prompts);
  /** To be told next. */
  const ready: MapItem[] = [];
  /** What has ended before an earlier one that is to be told first. */
  const heldBack = new Map<number, MapItem>();
  let nextIndex = 0;
  let read = 0;
  let running = 0;
  let done = 0;
  let failed = 0;
  let isFilling = false;
  /** Whether there is nothing more to be read. */
  let isRead = false;
  /** Why no more is begun. */
  let fault: { error: unknown } | undefined;
  let wakeReader = () => {};

  const tellProgress = () => {
    const total = Array.isArray(prompts) ? prompts.length : isRead ? read : null;
    try {
      onProgress?.({ done, failed, total });
    } catch (error) {
      fault ??= { error };
    }
  };
  const take = (item: MapItem) => {
    if (order === "completion") {
      ready.push(item);
      return;
    }
    heldBack.set(item.index, item);
    for (let next = heldBack.get(nextIndex); next; next = heldBack.get(nextIndex)) {
      heldBack.delete(nextIndex++);
      ready.push(next);
    }
  };
  const work = async (prompt: string, index: number) => {
    const outcome = await runPatiently(prompt, options, either).then(
      (result) => ({ result }),
      (thrown) => ({ error: NetworkError.from(thrown) }),
    );
    if (either.aborted) return;
    running--;
    done++;
    if ("error" in outcome) failed++;
    take({ index, prompt, ...outcome });
    tellProgress();
    wakeReader();
    void fill();
  };
  // Who does not come for what is ready has enough to do.
  const hasRoom = () => {
    const most = concurrency();
    return running < most && ready.length < most && heldBack.size < MAX_HELD_BACK;
  };
  /** Reads prompts and begins them as long as there is room; never rejects. */
  const fill = async () => {
    if (isFilling) return;
    isFilling = true;
    while (!isRead && fault === undefined && !either.aborted && hasRoom()) {
      try {
        const next = await source.next();
        if (either.aborted) break;
        if (next.done) {
          isRead = true;
          // The total is known now.
          tellProgress();
        } else {
          running++;
          void work(next.value, read++);
        }
      } catch (error) {
        isRead = true;
        fault ??= { error };
      }
    }
    isFilling = false;
    wakeReader();
  };
  const onAbort = () => wakeReader();
  either.addEventListener("abort", onAbort, { once: true });

  try {
    for (;;) {
      if (signal?.aborted) throw cancelled(signal.reason);
      void fill();
      const item = ready.shift();
      if (item !== undefined) yield item;
      else if ((isRead || fault !== undefined) && running === 0) break;
      else await new Promise<void>((resolve) => wakeReader = resolve);
    }
    if (fault !== undefined) throw fault.error;
  } finally {
    stop.abort(new NetworkError("CANCELLED", "Cancelled: the reader of the map stopped reading."));
    either.removeEventListener("abort", onAbort);
    // Not awaited: it may be in the middle of a wait that nobody ends.
    if (!isRead) void close(source);
  }
}

/**
 * The first prompt that succeeds; those that run then are stopped.
 *
 * @throws {NetworkError} The code of the last that failed, when all did; `INVALID_ARGUMENT` when
 * there are none.
 */
export async function firstOf(items: AsyncIterable<MapItem>): Promise<RunResult> {
  let count = 0;
  let last: NetworkError | undefined;
  for await (const item of items) {
    if ("result" in item) return item.result;
    count++;
    last = item.error;
  }
  if (last === undefined) {
    throw new NetworkError("INVALID_ARGUMENT", "Cannot run an agent: there are no prompts.");
  }
  const { code, message } = last;
  throw new NetworkError(code, `All ${count} prompts have failed, the last one with: ${message}`, {
    cause: last,
  });
}

/**
 * How many prompts to run at a time unless it is said, 1 to 256: one for each slot of the devices
 * that can do it, and those that have to be under way for the next one to be there when one has
 * ended. As few as that: what waits at a device does not move to another one that is done earlier.
 *
 * @param times What was measured of the agent.
 */
export function usualConcurrency(
  candidates: readonly Candidate[],
  times: AgentTimes | undefined,
  { agent, requirements, nodeId }: Pick<RunRequest, "agent" | "requirements" | "nodeId">,
): number {
  const asked = {
    agent: agent.name,
    requirements: requirements === undefined
      ? agent.requirements
      : bothRequirements(agent.requirements, requirements),
    tried: NOWHERE,
  };
  const places = candidates
    .filter((one) => nodeId === undefined || one.nodeId === nodeId)
    .filter((one) => shortcoming(one, asked) === undefined)
    .reduce((sum, one) => sum + one.slots + underWay(one, times?.on(one.nodeId)), 0);
  return Math.min(MAX_CONCURRENCY, Math.max(1, places));
}

/** How many slots would become free there during a round trip. */
function underWay({ slots, roundTripMs }: Candidate, serviceMs: number | undefined): number {
  if (serviceMs === undefined) return slots;
  return roundTripMs >= serviceMs ? slots : Math.ceil(slots * roundTripMs / serviceMs);
}

/** Runs a prompt, and again when all devices were full, until its time is up. */
async function runPatiently(
  prompt: string,
  { run, clock, random, timeoutMs }: MapPromptsOptions,
  signal: AbortSignal,
): Promise<RunResult> {
  const startedAt = clock.now();
  let remainingMs = timeoutMs;
  for (;;) {
    try {
      return await run(prompt, remainingMs, signal);
    } catch (thrown) {
      const wait = thrown instanceof NetworkError && thrown.code === "RESOURCE_EXHAUSTED"
        ? thrown.retryAfterMs
        : undefined;
      if (wait === undefined) throw thrown;
      const bounded = Math.min(LONGEST_WAIT_MS, Math.max(LEAST_WAIT_MS, wait));
      // Those that were refused together do not come back together.
      const jittered = bounded * (1 + random.next() / 2);
      const leftMs = () => timeoutMs - (clock.now() - startedAt);
      await sleep(clock, Math.max(0, Math.min(jittered, leftMs())), signal);
      remainingMs = leftMs();
      if (remainingMs >= 1) continue;
      throw new NetworkError(
        "DEADLINE_EXCEEDED",
        `No device had room within ${timeoutMs} ms. Allow more time, or fewer at a time: ` +
          (thrown as NetworkError).message,
        { cause: thrown },
      );
    }
  }
}

async function close(source: AsyncIterator<string> | Iterator<string>): Promise<void> {
  try {
    await source.return?.();
  } catch {
    // Who has left does not want to know.
  }
}

function iteratorOf(prompts: Prompts): AsyncIterator<string> | Iterator<string> {
  return Symbol.asyncIterator in prompts
    ? prompts[Symbol.asyncIterator]()
    : prompts[Symbol.iterator]();
}

function cancelled(reason: unknown): NetworkError {
  if (reason instanceof NetworkError) return reason;
  return new NetworkError("CANCELLED", `Cancelled by the caller: ${describeError(reason)}`, {
    cause: reason,
  });
}
