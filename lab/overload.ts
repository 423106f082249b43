/**
 * Ten times what three nodes can do is offered to them by three callers, one of which is greedy: how
 * much is still done, how soon is the rest refused, and does anybody's memory grow? What they can do
 * is measured before, with as much at a time as keeps all slots busy. All are processes of their own
 * on the loopback.
 *
 *     deno task lab:overload [--seconds 60] [--json]
 *
 * Prints a table, with `--json` one JSON value as well; the exit status is 1 if a promise was missed.
 */

import { parseArgs } from "@std/cli/parse-args";
import { newKeyring } from "../src/security/keyring.ts";
import { freeUdpPort, keepKeyring } from "../tests/support/nodes.ts";
import { startProcess, type TestProcess } from "../tests/support/process.ts";
import { withTempDir } from "../tests/support/temp.ts";
import {
  CALLERS,
  Histogram,
  type Phase,
  type PhaseFigures,
  type RefusalKind,
  SERVICE_MS,
  SLOTS,
  WORKERS,
} from "./overload_plan.ts";

const OVERLOAD = 10;
const CAPACITY_MS = 5_000;
const WARM_UP_MS = 2_000;
const OVERLOADED_WARM_UP_MS = 3_000;
/** Of the capacity. */
const LEAST_GOODPUT = 0.9;
const MOST_REFUSAL_MS = 50;
/** Of the caller that gets least, in parts of the one that gets most. */
const LEAST_FAIRNESS = 0.8;
/** In MiB: from the first half to the second of a run that is long enough to say, and in all. */
const MOST_GROWTH = 40;
const SETTLED_S = 30;
const MOST_MEMORY = 512;
/** When this process, which has nothing to do, waits for longer, the machine is busy with others. */
const STALL_MS = 20;
/** Of the time: where it stalls for more, the slowest hundredth is the machine's, and not judged. */
const MOST_STALLED = 0.005;
/** Of the processors' time: where the nodes themselves take more, it is they who make it stall. */
const MOST_OWN = 0.85;
/** As the kernel counts a process's time: USER_HZ, on every architecture. */
const TICKS_PER_SECOND = 100;

const args = parseArgs(Deno.args, { string: ["seconds"], boolean: ["json"] });
const seconds = Number(args.seconds ?? 60);
Deno.exit(await withTempDir(overload) ? 0 : 1);

async function overload(directory: string): Promise<boolean> {
  await keepKeyring(directory, newKeyring("hanzo"));
  const port = `${freeUdpPort()}`;
  await using stack = new AsyncDisposableStack();
  const start = async (program: string, name: string, ...rest: string[]) => {
    const path = new URL(program, import.meta.url).pathname;
    const own = ["run", "-A", "--quiet", path, name, directory, port, ...rest];
    const process = stack.use(startProcess(Deno.execPath(), own));
    await process.waitForLine((line) => line === "ready", { what: "ready", timeoutMs: 30_000 });
    return process;
  };
  const workers = await Promise.all(WORKERS.map((name) => start("overload_worker.ts", name)));
  const callers = await Promise.all(
    CALLERS.map(({ name }) => start("overload_caller.ts", name, `${directory}/phases-${name}`)),
  );
  let number = 0;
  const phase = async (phases: Phase[]): Promise<PhaseFigures[]> => {
    const lines = callers.map(nextLine(++number));
    await Promise.all(CALLERS.map(({ name }, i) => tellPhase(directory, name, number, phases[i])));
    return (await Promise.all(lines)).map((line) => JSON.parse(line));
  };
  const concurrency = 2 * SLOTS * WORKERS.length / CALLERS.length;
  const same = (durationMs: number) => CALLERS.map(() => ({ durationMs, concurrency }));
  await phase(same(WARM_UP_MS));
  const before = await phase(same(CAPACITY_MS));
  const capacity = sum(before, ({ done }) => done) / (CAPACITY_MS / 1_000);
  const tenTimes = (durationMs: number) =>
    CALLERS.map(({ share }) => ({ durationMs, perSecond: OVERLOAD * capacity * share }));
  await phase(tenTimes(OVERLOADED_WARM_UP_MS));
  const names = [...WORKERS, ...CALLERS.map(({ name }) => name)];
  const memory = watchMemory(names, [...workers, ...callers]);
  const stalls = watchStalls();
  const ticks = () => sum([...workers, ...callers], ({ pid }) => ticksOf(pid));
  const ticksBefore = ticks();
  const figures = await phase(tenTimes(seconds * 1_000));
  const cpu = {
    stalled: stalls.stop() / (seconds * 1_000),
    own: (ticks() - ticksBefore) / TICKS_PER_SECOND / seconds / navigator.hardwareConcurrency,
  };
  return tell(capacity, figures, memory.stop(), cpu);
}

/** The processor's time that a process has taken, in the kernel's ticks. */
function ticksOf(pid: number): number {
  // Its name, in brackets, may hold blanks.
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** For how long in all this process was kept waiting, when it was for long. */
function watchStalls(): { stop(): number } {
  let stalledMs = 0;
  let last = performance.now();
  const id = setInterval(() => {
    const now = performance.now();
    if (now - last > STALL_MS) stalledMs += now - last;
    last = now;
  }, 5);
  return {
    stop: () => {
      clearInterval(id);
      return stalledMs;
    },
  };
}

/** The n-th line of figures of a caller. */
function nextLine(number: number) {
  return (caller: TestProcess): Promise<string> => {
    let seen = 0;
    return caller.waitForLine((line) => line.startsWith("{") && ++seen === number, {
      what: `phase ${number}`,
      timeoutMs: (seconds + 60) * 1_000,
    });
  };
}

async function tellPhase(
  directory: string,
  name: string,
  number: number,
  phase: Phase,
): Promise<void> {
  const folder = `${directory}/phases-${name}`;
  await Deno.mkdir(folder, { recursive: true });
  // At once or not at all: who waits for it may look at any moment.
  await Deno.writeTextFile(`${folder}/next`, JSON.stringify(phase));
  await Deno.rename(`${folder}/next`, `${folder}/${number}.json`);
}

interface Memory {
  readonly name: string;
  readonly middle: number;
  readonly end: number;
  readonly most: number;
}

/** Looks at the resident memory of processes every half second, in MiB. */
function watchMemory(names: string[], processes: TestProcess[]): { stop(): Memory[] } {
  const samples: number[][] = processes.map(() => []);
  const id = setInterval(() => {
    processes.forEach(({ pid }, i) => {
      const [, pages] = Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ");
      samples[i].push(Number(pages) * 4_096 / 2 ** 20);
    });
  }, 500);
  return {
    stop: () => {
      clearInterval(id);
      return samples.map((values, i) => {
        const half = values.length >> 1;
        // Garbage comes and goes: the most of each half is what says whether it grows.
        return {
          name: names[i],
          middle: Math.max(...values.slice(0, half)),
          end: Math.max(...values.slice(half)),
          most: Math.max(...values),
        };
      });
    },
  };
}

function tell(
  capacity: number,
  figures: PhaseFigures[],
  memory: Memory[],
  { stalled, own }: { readonly stalled: number; readonly own: number },
): boolean {
  // The first second fills the queues.
  const perSecond = (of: PhaseFigures) =>
    of.doneBySecond.slice(1).reduce((all, done) => all + done, 0) / (of.doneBySecond.length - 1);
  const goodput = sum(figures, perSecond) / capacity;
  const offered = sum(figures, ({ offered }) => offered) / seconds / capacity;
  const rates = figures.map(perSecond);
  const fairness = Math.min(...rates) / Math.max(...rates);
  const kinds: RefusalKind[] = ["direct", "routed", "background"];
  const all = Object.fromEntries(
    kinds.map((kind) => [kind, Histogram.sum(figures.map(({ refusal }) => refusal[kind]))]),
  );
  const refusals = Object.fromEntries(
    Object.entries({ ...all, all: Histogram.sum(Object.values(all)) }).map(([kind, one]) => [kind, {
      refused: one.total,
      "p50 ms": one.percentile(0.5),
      "p99 ms": one.percentile(0.99),
      "max ms": one.percentile(1),
    }]),
  );
  const answers = Histogram.sum(figures.map(({ answer }) => answer));
  const failed = figures.flatMap(({ failed }) => Object.entries(failed));
  console.table(Object.fromEntries(CALLERS.map(({ name }, i) => [name, {
    "offered/s": Math.round(figures[i].offered / seconds),
    "done/s": Math.round(rates[i]),
    "most in flight": figures[i].mostInFlight,
  }])));
  console.table(refusals);
  console.table(Object.fromEntries(memory.map(({ name, middle, end }) => [name, {
    "first half MiB": Math.round(middle),
    "second half MiB": Math.round(end),
  }])));
  const isBusyWithOthers = stalled > MOST_STALLED && own <= MOST_OWN;
  const missed = [
    offered < 0.95 * OVERLOAD && `only ${offered.toFixed(1)} times the capacity was offered`,
    goodput < LEAST_GOODPUT && `goodput is below ${LEAST_GOODPUT}`,
    !isBusyWithOthers && refusals.all["p99 ms"] > MOST_REFUSAL_MS &&
    `refusals take longer than ${MOST_REFUSAL_MS} ms`,
    fairness < LEAST_FAIRNESS && "the greedy caller gets more than its share",
    failed.length > 0 && `tasks have failed: ${JSON.stringify(failed)}`,
    ...memory.map(({ name, middle, end, most }) =>
      (seconds >= SETTLED_S && end - middle > MOST_GROWTH || most > MOST_MEMORY) &&
      `the memory of ${name} grows`
    ),
  ].filter((one) => one !== false);
  console.log(
    `capacity ${Math.round(capacity)}/s (${WORKERS.length} nodes with ${SLOTS} slots of ` +
      `${SERVICE_MS} ms); offered ${offered.toFixed(1)} times that for ${seconds} s: goodput ` +
      `${(100 * goodput).toFixed(1)} %, an answer after ${answers.percentile(0.5)} ms (p99 ` +
      `${answers.percentile(0.99)}), fairness ${fairness.toFixed(2)}`,
  );
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  console.log(
    `The machine stalled for ${percent(stalled)} of the time; the nodes took ${
      percent(own)
    } of its ` +
      `processors${isBusyWithOthers ? ": how long refusals take is not judged" : ""}.`,
  );
  for (const one of missed) console.log(`MISSED: ${one}`);
  if (args.json) {
    const met = missed.length === 0;
    console.log(
      JSON.stringify({
        met,
        seconds,
        capacity,
        offered,
        goodput,
        fairness,
        refusals,
        stalled,
        own,
        memory,
      }),
    );
  }
  return missed.length === 0;
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((all, value) => all + of(value), 0);
}
