/**
 * A thousand tasks on five nodes, which are killed, paused and cut off meanwhile: is every promise
 * kept? What is promised is in `chaos_judge.ts`, what is done in `chaos_plan.ts`; it follows from
 * the seed. Each node is a process on a host of its own; the caller is a sixth one.
 *
 *     deno task lab:chaos [--seed N] [--tasks N] [--json]
 *
 * Prints what it does and a table, with `--json` one JSON value as well; the exit status is 1 if a
 * promise was missed. Takes about a minute and a half. Needs Linux, root, iproute2 and nftables.
 */

import { parseArgs } from "@std/cli/parse-args";
import { newKeyring } from "../src/security/keyring.ts";
import { Lan, lanUnavailable } from "../tests/support/lan.ts";
import { keepKeyring } from "../tests/support/nodes.ts";
import type { TestProcess } from "../tests/support/process.ts";
import { withTempDir } from "../tests/support/temp.ts";
import {
  type Fallback,
  type Fault,
  judgeChaos,
  type Outcome,
  PROMISED_MS,
  type Start,
} from "./chaos_judge.ts";
import { type FaultKind, planFaults, type PlannedFault, planTasks, WORKERS } from "./chaos_plan.ts";
import { percentile } from "./figures.ts";

const CONCURRENCY = 24;
const SLOTS = 12;
/** Of the time from fault to fault, the mean. */
const GAP_MS = 1_200;
/** Longer than the tasks take. */
const MOST_MS = 300_000;
const DROP = (hook: string) =>
  `chain ${hook} { type filter hook ${hook} priority 0; policy drop; };`;
const RULES: Readonly<Record<"deaf" | "cut", string>> = {
  deaf: `table inet chaos { ${DROP("input")} }`,
  cut: `table inet chaos { ${DROP("input")} ${DROP("output")} }`,
};
const NODE = (program: string) => new URL(program, import.meta.url).pathname;

const args = parseArgs(Deno.args, { string: ["seed", "tasks"], boolean: ["json"] });
const seed = Number(args.seed ?? 1);
const tasks = planTasks(seed, Number(args.tasks ?? 1_000));
const unavailable = await lanUnavailable();
if (unavailable !== undefined) {
  console.error(`Cannot make a LAN: ${unavailable}`);
  Deno.exit(2);
}
Deno.exit(await withTempDir(chaos) ? 0 : 1);

async function chaos(directory: string): Promise<boolean> {
  await using lan = await Lan.of(...WORKERS, "caller");
  const ring = newKeyring("hanzo");
  for (const host of [...WORKERS, "caller"]) await keepKeyring(`${directory}/${host}`, ring);
  const start = (host: string, program: string, ...rest: string[]) =>
    lan.start(host, Deno.execPath(), ["run", "-A", "--quiet", NODE(program), ...rest]);
  const workers = new Map<string, TestProcess>();
  const startWorker = async (host: string) => {
    const own = [host, `${directory}/${host}`, `${directory}/starts-${host}`, `${SLOTS}`];
    const worker = start(host, "chaos_worker.ts", ...own);
    workers.set(host, worker);
    await worker.waitForLine((line) => line === "ready", { what: "ready", timeoutMs: 20_000 });
  };
  await Promise.all(WORKERS.map(startWorker));
  const plan = [`${directory}/caller`, `${seed}`, `${tasks.length}`, `${CONCURRENCY}`];
  const caller = start("caller", "chaos_caller.ts", ...plan);
  await caller.waitForLine((line) => line.includes("ready"), { what: "ready", timeoutMs: 30_000 });

  const begun = performance.now();
  const faults: Fault[] = [];
  const stop = new AbortController();
  const outcomes = readOutcomes(caller).finally(() => stop.abort());
  const maltreated = planFaults(seed, MOST_MS, GAP_MS).map(async (planned) => {
    if (!await reached(begun + planned.afterMs, stop.signal)) return;
    const { host, kind, forMs } = planned;
    console.error(`${seconds(planned.afterMs)} s: ${kind} ${host} for ${seconds(forMs)} s`);
    faults.push(await maltreat(planned));
  });

  async function maltreat({ kind, host, forMs }: PlannedFault): Promise<Fault> {
    const at = now();
    const done = (until = now()): Fault => ({ kind, host, at, until });
    const over = () => new Promise((resolve) => setTimeout(resolve, forMs));
    const worker = workers.get(host)!;
    if (kind === "kill" || kind === "pause") {
      worker.kill(kind === "kill" ? "SIGKILL" : "SIGSTOP");
      await over();
      if (kind === "pause") worker.kill("SIGCONT");
      else await startWorker(host);
      return done();
    }
    await filter(lan, host, RULES[kind]);
    await over();
    await filter(lan, host, "delete table inet chaos");
    return done();
  }

  const settled = await outcomes;
  const durationMs = performance.now() - begun;
  await Promise.all(maltreated);
  const verdict = judgeChaos(tasks, settled, await readStarts(directory), faults);
  return tell(verdict, faults, durationMs);
}

async function filter(lan: Lan, host: string, rules: string): Promise<void> {
  await using nft = lan.start(host, "nft", [rules]);
  const { success } = await nft.status;
  if (!success) throw new Error(`nft on ${host}: ${nft.stderrText()}`);
}

function tell(
  { fallbacks, broken, ...counts }: ReturnType<typeof judgeChaos>,
  faults: readonly Fault[],
  durationMs: number,
): boolean {
  const kinds: readonly FaultKind[] = ["kill", "pause", "deaf", "cut"];
  const rows = Object.fromEntries(
    [...kinds, "all"].map((kind) => {
      const of = fallbacks.filter((one) => kind === "all" || one.kind === kind);
      return [kind, { faults: faults.filter((one) => one.kind === kind).length, ...figures(of) }];
    }),
  );
  rows.all.faults = faults.length;
  console.error(
    `fallback: from the fault to the next start elsewhere, ms; promised ${PROMISED_MS}`,
  );
  console.table(rows);
  for (
    const { index, kind, ms, moved, history } of fallbacks.filter(({ ms }) => ms > PROMISED_MS)
  ) {
    const how = moved ? "began elsewhere" : "waited for it";
    console.error(`  task ${index} ${how} ${Math.round(ms)} ms after the ${kind}: ${history}`);
  }
  for (const one of broken) console.log(`BROKEN: ${one}`);
  const met = broken.length === 0 && rows.all.p95 <= PROMISED_MS;
  const { results, unknown, repeated, hit } = counts;
  console.log(
    `seed ${seed}: ${tasks.length} tasks in ${seconds(durationMs)} s, ${hit} attempts hit by ` +
      `${faults.length} faults, ${repeated} repeated; ${results} results, ${unknown} of unknown ` +
      `outcome as they must be, ${broken.length} promises broken`,
  );
  if (args.json) {
    console.log(JSON.stringify({ met, seed, tasks: tasks.length, durationMs, ...counts, rows }));
  }
  return met;
}

function figures(fallbacks: readonly Fallback[]) {
  const values = fallbacks.map(({ ms }) => ms);
  const at = (share: number) => values.length === 0 ? 0 : Math.round(percentile(values, share));
  return {
    fallbacks: values.length,
    waited: fallbacks.filter(({ moved }) => !moved).length,
    p50: at(0.5),
    p95: at(0.95),
    max: at(1),
  };
}

async function readOutcomes(caller: TestProcess): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for await (const line of caller.lines()) {
    const read = JSON.parse(line);
    if ("index" in read) outcomes.push(read);
  }
  if (caller.stderrText() !== "") console.error(caller.stderrText());
  return outcomes;
}

async function readStarts(directory: string): Promise<Start[]> {
  const files = await Promise.all(
    WORKERS.map((host) => Deno.readTextFile(`${directory}/starts-${host}`)),
  );
  return files.flatMap((text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line)));
}

/** Waits for a moment; says whether it came before the end. */
function reached(at: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const id = setTimeout(() => resolve(true), Math.max(0, at - performance.now()));
    signal.addEventListener("abort", () => {
      clearTimeout(id);
      resolve(false);
    });
  });
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
