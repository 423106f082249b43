/**
 * Fifteen kinds of credentials against every RPC and every HTTP route of a real node: what is let in
 * that should not be, and what is refused that should not be. Prints one table, or JSON with
 * `--json`; the exit status is 1 when a single cell is wrong. Ends within half a minute.
 *
 *     deno task lab:trust [--json]
 */

import { withTempDir } from "../tests/support/temp.ts";
import { type Attempt, attempts } from "./trust_attempts.ts";
import { Fortress } from "./trust_fortress.ts";

const isJson = Deno.args.includes("--json");
await withTempDir(async (directory) => {
  await using fortress = await Fortress.build(directory);
  const results = await attempts(fortress);
  const wrong = results.filter(({ isRight }) => !isRight);
  if (isJson) console.log(JSON.stringify(results));
  else {
    console.table(tableOf(results));
    console.log(
      "Those for programs are Run, ListAgents, GetStatus, health and reflection. Other RPCs are those " +
        "of existing peers: only an open node serves them, to anybody.",
    );
    for (const { credential, door, expected, outcome } of wrong) {
      console.log(`WRONG: ${credential} at ${door}: expected ${expected}, and was ${outcome}`);
    }
    console.log(
      `${results.length} attempts, ${
        wrong.filter(({ expected }) => expected === "refused").length
      }` +
        ` wrong acceptances, ${wrong.filter(({ expected }) => expected === "served").length} ` +
        `wrong refusals.`,
    );
  }
  Deno.exitCode = wrong.length === 0 ? 0 : 1;
});

/** A row for each credential, a column for each kind of door: how many were served and refused. */
function tableOf(results: readonly Attempt[]): Record<string, Record<string, string>> {
  const rows: Record<string, Record<string, string>> = {};
  for (const { credential, kind } of results) {
    const cell = results.filter((one) => one.credential === credential && one.kind === kind);
    const count = (outcome: string) => cell.filter((one) => one.outcome === outcome).length;
    const sign = cell.every(({ isRight }) => isRight) ? "" : "  WRONG";
    const parts = [[count("served"), "served"], [count("refused"), "refused"]] as const;
    (rows[credential] ??= {})[kind] = parts.filter(([n]) =>
      n > 0
    ).map(([n, word]) => `${n} ${word}`).join(", ") + sign;
  }
  return rows;
}
