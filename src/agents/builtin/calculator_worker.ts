/** The thread in which expressions are evaluated: it can be ended while it is busy. */

import { describeError } from "../../base/errors.ts";
import type { Calculated } from "./expression.ts";

/** What the thread says: first whether it has loaded, then one answer per expression. */
export type CalculatorMessage =
  | { type: "ready" }
  | { type: "broken"; reason: string }
  | { type: "calculated"; value: Calculated }
  | { type: "failed"; reason: string };

/** The part of a worker's global scope that is used here. */
interface Thread {
  onmessage: (event: MessageEvent<string>) => void;
  postMessage(message: CalculatorMessage): void;
}

const thread = globalThis as unknown as Thread;

try {
  // Not a static import, so that whoever started this is told when mathjs cannot be had.
  const { calculate } = await import("./expression.ts");
  thread.onmessage = ({ data }) => {
    try {
      thread.postMessage({ type: "calculated", value: calculate(data) });
    } catch (thrown) {
      thread.postMessage({ type: "failed", reason: describeError(thrown) });
    }
  };
  thread.postMessage({ type: "ready" });
} catch (thrown) {
  thread.postMessage({ type: "broken", reason: describeError(thrown) });
}
