/** Repeated attempts stay a share of the traffic. */

import { assert, assertEquals } from "@std/assert";
import { RetryBudget } from "../../src/tasks/retry_budget.ts";

Deno.test("a few tasks may all be repeated, many only in a fifth of the cases", () => {
  const budget = new RetryBudget();
  let repeated = 0;
  for (let i = 0; i < 20; i++) {
    budget.earn();
    if (budget.spend()) repeated++;
  }
  assertEquals(repeated, 20);
  repeated = 0;
  for (let i = 0; i < 10_000; i++) {
    budget.earn();
    if (budget.spend()) repeated++;
  }
  assert(repeated > 1_990 && repeated <= 2_010, `${repeated}`);
});
