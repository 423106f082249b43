/** Random schedules of what replicas do, and what the network between them does. */

import fc from "fast-check";
import type { JsonValue } from "../../src/base/bounded_json.ts";
import { NetworkError } from "../../src/base/errors.ts";
import type { Dot } from "../../src/state/row.ts";
import type { Delta } from "../../src/state/intake.ts";
import type { StateReplica } from "../../src/state/state_replica.ts";
import { heal, Replica } from "./replicas.ts";

/** What one replica does, or what becomes of a message. */
export type Step =
  | { readonly do: "set"; readonly at: number; readonly key: string; readonly value: JsonValue }
  | { readonly do: "delete"; readonly at: number; readonly key: string }
  | { readonly do: "increment"; readonly at: number; readonly key: string; readonly by: number }
  | { readonly do: "append"; readonly at: number; readonly key: string }
  | {
    readonly do: "reset";
    readonly at: number;
    readonly key: "tally" | "queue";
    readonly by: "set" | "delete";
  }
  | { readonly do: "transact"; readonly at: number; readonly key: string }
  | { readonly do: "tell"; readonly at: number }
  | { readonly do: "deliver"; readonly which: number; readonly to: number; readonly keep: boolean }
  | { readonly do: "pull"; readonly at: number; readonly from: number }
  | { readonly do: "restart"; readonly at: number }
  | { readonly do: "forget"; readonly at: number }
  /** More than a day passes; some forget what has been gone for one. */
  | { readonly do: "day"; readonly forget: readonly number[] }
  | { readonly do: "clock"; readonly at: number; readonly ms: number };

/** Steps of so many replicas. */
export interface Schedule {
  readonly replicas: number;
  readonly steps: readonly Step[];
}

const at = fc.nat(6);
const key = fc.constantFrom("a", "b", "c", "__proto__");
const value: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom<JsonValue[]>("x", null, true, { deep: [1] }, [], ["y"]),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("set" as const), at, key, value }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), at, key }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("increment" as const),
      at,
      key: fc.oneof(fc.constantFrom("sum", "tally"), key),
      by: fc.integer({ min: -5, max: 9 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      at,
      key: fc.oneof(fc.constantFrom("log", "queue"), key),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("reset" as const),
      at,
      key: fc.constantFrom("tally" as const, "queue" as const),
      by: fc.constantFrom("set" as const, "delete" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("transact" as const), at, key }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("tell" as const), at }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      which: fc.nat(1_000),
      to: fc.nat(6),
      keep: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pull" as const), at, from: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), at }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("forget" as const), at }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("day" as const),
      forget: fc.array(at, { maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("clock" as const),
      at,
      ms: fc.constantFrom(1, 1_000, 7_200_000, 10 * 365 * 86_400_000),
    }),
  },
);

/** Any of them. */
export const schedules: fc.Arbitrary<Schedule> = fc.record({
  replicas: fc.integer({ min: 3, max: 7 }),
  // Shrinking goes below; sizes of its own choice are mostly too short for anything to happen.
  steps: fc.array(step, { maxLength: 100, size: "max" }),
});

/** What a schedule came to. */
export interface Outcome {
  /** What each replica shows in the end. */
  readonly shown: readonly (readonly [key: string, value: JsonValue])[][];
  /** What there must be of keys that are added and appended to, and of two that are reset, too. */
  readonly expected:
    & Readonly<Record<"sum" | "tally", number>>
    & Readonly<Record<"log" | "queue", string[]>>;
}

/** Something that was added or appended. */
interface Addition extends Dot {
  readonly key: string;
  readonly what: number | string;
  /** Whether whoever has reset the key since had seen it. */
  isGone: boolean;
}

/** Runs it, and then lets all hear of all. */
export function convergenceOf({ replicas: count, steps }: Schedule): Outcome {
  using run = new ScheduleRun(count);
  steps.forEach((step, index) => run.perform(step, `${index}`));
  return run.outcome();
}

/** A schedule under way. */
class ScheduleRun implements Disposable {
  readonly #replicas: readonly Replica[];
  /** On their way, for any replica. */
  readonly #messages: Delta[] = [];
  readonly #additions: Addition[] = [];

  constructor(count: number) {
    this.#replicas = Array.from({ length: count }, (_, index) => new Replica(index));
  }

  /** @param item What is appended, if anything is. */
  perform(step: Step, item: string): void {
    if (step.do === "day") return this.#day(step.forget);
    const one = this.#at("at" in step ? step.at : step.to);
    const { state } = one;
    switch (step.do) {
      case "set":
        return one.write((tx) => tx.set(step.key, step.value));
      case "delete":
        return void one.write((tx) => tx.delete(step.key));
      case "increment":
        if (!fits(() => one.write((tx) => tx.increment(step.key, step.by)))) return;
        return this.#added(one, step.key, step.by);
      case "append":
        if (!fits(() => one.write((tx) => tx.append(step.key, item)))) return;
        return this.#added(one, step.key, item);
      case "reset":
        return this.#reset(one, step.key, step.by);
      case "transact":
        return one.write((tx) => {
          tx.set(step.key, item);
          tx.set(`${step.key}2`, item);
        });
      case "tell":
        return void this.#messages.push(one.news());
      case "deliver":
        return this.#deliver(state, step.which, step.keep);
      case "pull": {
        const from = this.#at(step.from);
        if (from !== one) one.pull(from);
        return;
      }
      case "restart":
        return one.restart();
      case "forget":
        return state.forget();
      case "clock":
        return void (one.wallTime += step.ms);
    }
  }

  outcome(): Outcome {
    heal(this.#replicas);
    const left = (key: string) =>
      this.#additions.filter((one) => one.key === key && !one.isGone).map(({ what }) => what);
    const expected = {
      sum: sumOf(left("sum")),
      tally: sumOf(left("tally")),
      log: left("log") as string[],
      queue: left("queue") as string[],
    };
    return { shown: this.#replicas.map((one) => one.shown()), expected };
  }

  [Symbol.dispose](): void {
    for (const one of this.#replicas) one[Symbol.dispose]();
  }

  #day(forget: readonly number[]): void {
    for (const one of this.#replicas) one.wallTime += 90_000_000;
    for (const at of forget) this.#at(at).state.forget();
  }

  #at(index: number): Replica {
    return this.#replicas[index % this.#replicas.length];
  }

  #added({ state }: Replica, key: string, what: number | string): void {
    state.commit();
    const dot = { origin: state.origin, seq: state.position.versions.of(state.origin) };
    this.#additions.push({ ...dot, key, what, isGone: false });
  }

  #reset(one: Replica, key: "tally" | "queue", by: "set" | "delete"): void {
    one.state.commit();
    for (const addition of this.#additions) {
      if (addition.key === key && one.state.position.versions.has(addition)) addition.isGone = true;
    }
    if (by === "delete") one.write((tx) => tx.delete(key));
    else one.write((tx) => tx.set(key, key === "tally" ? 0 : []));
  }

  #deliver(to: StateReplica, which: number, keep: boolean): void {
    if (this.#messages.length === 0) return;
    const index = which % this.#messages.length;
    const delta = this.#messages[index];
    if (!keep) this.#messages.splice(index, 1);
    if (delta.origin !== to.origin) to.others.take(delta);
  }
}

/** Whether a write was possible: a list cannot be added to, and a number not appended to. */
function fits(write: () => unknown): boolean {
  try {
    write();
    return true;
  } catch (thrown) {
    if (thrown instanceof NetworkError && thrown.code === "FAILED_PRECONDITION") return false;
    throw thrown;
  }
}

function sumOf(numbers: readonly (number | string)[]): number {
  return numbers.reduce<number>((sum, one) => sum + Number(one), 0);
}
