/**
 * The shared state against yjs: the same operations, what they cost on the wire, on the disk and in
 * memory. Each side does each of them in a process of its own, in turns. Ends by itself after about
 * two minutes.
 *
 *     deno task bench:yjs [--json]
 */

import { OURS } from "./yjs_ours.ts";
import { THEIRS } from "./yjs_theirs.ts";
import type { Figures, Side } from "./yjs_work.ts";
import { makeFile, WORK } from "./yjs_work.ts";

const SIDES: Readonly<Record<string, Side>> = { ours: OURS, yjs: THEIRS };
const ROUNDS = 3;

const [sideName, workName, directory] = Deno.args;
if (sideName in SIDES) {
  const side = SIDES[sideName];
  if (workName === "file") await makeFile(side, `${directory}/file`);
  else console.log(JSON.stringify(await WORK[workName](side)));
  Deno.exit(0);
}

/** One figure of both sides: the median of the rounds. */
interface Line {
  readonly work: string;
  readonly figure: string;
  readonly ours: number;
  readonly yjs: number;
  /** Theirs through ours: above 1 ours is less. */
  readonly ratio: number;
}

const directories: Record<string, string> = {};
for (const side of Object.keys(SIDES)) {
  directories[side] = await Deno.makeTempDir();
  await inProcess(side, "file");
}
const lines: Line[] = [];
for (const work of Object.keys(WORK)) {
  const rounds: Record<string, Figures[]> = { ours: [], yjs: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of Object.keys(SIDES)) rounds[side].push(await inProcess(side, work));
  }
  for (const figure of Object.keys(rounds.ours[0])) {
    const [ours, yjs] = ["ours", "yjs"].map((side) => median(rounds[side].map((r) => r[figure])));
    lines.push({ work, figure, ours, yjs, ratio: Number((yjs / ours).toFixed(3)) });
  }
}
for (const path of Object.values(directories)) await Deno.remove(path, { recursive: true });
if (Deno.args.includes("--json")) console.log(JSON.stringify(lines));
else console.table(lines);

async function inProcess(side: string, work: string): Promise<Figures> {
  const own = [import.meta.filename!, side, work, directories[side]];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--v8-flags=--expose-gc", ...own],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${side} could not do: ${work}`);
  return JSON.parse(new TextDecoder().decode(stdout) || "{}");
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
}
