/**
 * Measures how soon five nodes on five hosts know who is there, against what is promised of it and,
 * where that makes sense, against bare nodes that do no more than they must.
 *
 *     deno run -A lab/presence.ts [--runs N] [--only NAME] [--short]
 *
 * Prints one JSON value on stdout, and what it does, with a table at the end, on stderr. The exit
 * status is 1 if a promise was missed. Takes about eleven minutes, with `--short` one. Needs Linux,
 * root, iproute2 and nftables; nothing of it is seen on the machine's own interfaces.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Lan, lanUnavailable } from "../tests/support/lan.ts";
import { withTempDir } from "../tests/support/temp.ts";
import { type Experiment, EXPERIMENTS } from "./experiments.ts";
import { type Figures, judge, table } from "./figures.ts";
import { FiveNodes, HOSTS } from "./five_nodes.ts";
import { Fleet } from "../tests/support/lan_fleet.ts";

const EXIT_MISSED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

interface Options {
  readonly experiments: readonly Experiment[];
  /** How often each is repeated; undefined: as it says itself. */
  readonly runs: number | undefined;
  readonly isShort: boolean;
}

class Interrupted extends Error {
  override readonly name = "Interrupted";
}

class WrongUsage extends Error {
  override readonly name = "WrongUsage";
}

try {
  Deno.exitCode = await main(Deno.args);
} catch (error) {
  if (error instanceof Interrupted) Deno.exit(EXIT_INTERRUPTED);
  if (!(error instanceof WrongUsage)) throw error;
  console.error(error.message);
  Deno.exit(EXIT_USAGE);
}

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  const unavailable = await lanUnavailable();
  if (unavailable !== undefined) throw new WrongUsage(`Cannot make a LAN: ${unavailable}`);
  const started = performance.now();
  const figures = await withTempDir(async (directory) => {
    await using lan = await Lan.of(...HOSTS);
    const fleet = new Fleet(lan, directory);
    // What goes on when a signal comes fails as soon as the LAN is gone.
    return await Promise.race([interruption(), measureAll(fleet, options)]);
  });
  console.error(`\n${table(figures)}`);
  const met = figures.every((one) => one.met !== false);
  console.log(JSON.stringify({
    met,
    figures,
    short: options.isShort,
    durationS: Math.round((performance.now() - started) / 1_000),
    machine: {
      system: `${Deno.build.os} ${Deno.osRelease()} ${Deno.build.arch}`,
      cores: navigator.hardwareConcurrency,
      load: Deno.loadavg().map((load) => Number(load.toFixed(2))),
      deno: Deno.version.deno,
    },
  }));
  return met ? 0 : EXIT_MISSED;
}

function readOptions(args: string[]): Options {
  const { runs, only, short, _: rest } = parseArgs(args, {
    string: ["runs", "only"],
    boolean: ["short"],
  });
  const names = EXPERIMENTS.map(({ name }) => name);
  const usage = `Usage: presence.ts [--runs N] [--only ${names.join("|")}] [--short]`;
  const isCount = runs === undefined || /^[1-9]\d{0,3}$/.test(runs);
  const isName = only === undefined || names.includes(only);
  if (!isCount || !isName || rest.length > 0) throw new WrongUsage(usage);
  return {
    experiments: EXPERIMENTS.filter(({ name }) => only === undefined || name === only),
    runs: runs === undefined ? undefined : Number(runs),
    isShort: short,
  };
}

async function measureAll(fleet: Fleet, options: Options): Promise<Figures[]> {
  const bare = new FiveNodes(fleet, "bare");
  const ours = new FiveNodes(fleet, "ours");
  const figures: Figures[] = [];
  for (const experiment of options.experiments) {
    let baseline: number[][] | undefined;
    if (experiment.hasBaseline) {
      await ours.stop();
      baseline = await repeat(experiment, bare, options);
      await bare.stop();
    }
    const values = await repeat(experiment, ours, options);
    figures.push(...experiment.quantities.map((quantity, i) => {
      const column = (rows: number[][]) => rows.map((row) => row[i]);
      return judge(experiment.name, quantity, column(values), baseline && column(baseline));
    }));
  }
  await ours.stop();
  return figures;
}

async function repeat(
  experiment: Experiment,
  five: FiveNodes,
  { runs, isShort }: Options,
): Promise<number[][]> {
  const rows: number[][] = [];
  for (let run = 0; run < (runs ?? (isShort ? experiment.shortRuns : experiment.runs)); run++) {
    const row = await experiment.measure(five, run, isShort);
    rows.push(row);
    const shown = experiment.quantities.map(({ name, unit }, i) =>
      `${name} ${row[i].toFixed(unit === "ms" ? 1 : 0)} ${unit}`
    );
    console.error(`${experiment.name} ${run + 1}, ${five.program}: ${shown.join(", ")}`);
  }
  return rows;
}

/** Rejects when this process is asked to end, so that it ends its nodes first. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => reject(new Interrupted(signal)));
    }
  });
}
