/**
 * The floors of the house: which room of `src/` may import which, read from what `deno info` says
 * about every file, and judged by a pure function.
 *
 * @module
 */

import { withTempDir } from "./temp.ts";

/** The rooms of `src/`, ground floor first. A room may import rooms on lower floors, and itself. */
export const FLOORS: readonly (readonly string[])[] = [
  ["base"],
  ["device", "transport", "security", "state", "agents", "engines", "dialects"],
  ["membership"],
  ["discovery", "link", "routing"],
  ["tasks"],
  ["network"],
  ["gateway"],
  ["cli"],
];

/**
 * What each file of `src/` imports: paths from the root of the repository, with `/` between their
 * parts. Files of packages are left out.
 */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** What a file of `src/` may import although it is in no room: the version is there. */
const COMMON = "deno.json";

/** What is wrong with the imports of a graph: one sentence each, none when all is well. */
export function violations(graph: ImportGraph): string[] {
  const found = [...graph].flatMap(([from, imports]) => [
    ...homeless(from),
    ...imports.flatMap((to) => misplaced(from, to)),
  ]);
  return [...new Set(found), ...cycles(graph).map(describeCycle)];
}

function homeless(file: string): string[] {
  const room = roomOf(file);
  if (room === undefined) return [`${file} is in no room: files of src/ belong in a folder.`];
  if (floorOf(room) === undefined) return [`src/${room}/ is a room without a floor.`];
  return [];
}

function misplaced(from: string, to: string): string[] {
  if (to === COMMON) return [];
  const [fromRoom, toRoom] = [roomOf(from), roomOf(to)];
  if (/^tests\/|_test\.ts$/.test(to)) return [`${from} imports the test ${to}.`];
  if (toRoom === undefined) return [`${from} imports ${to}, which is in no room.`];
  if (fromRoom === undefined || fromRoom === toRoom) return [];
  const [fromFloor, toFloor] = [floorOf(fromRoom), floorOf(toRoom)];
  if (fromFloor === undefined || toFloor === undefined || toFloor < fromFloor) return [];
  const direction = toFloor === fromFloor ? "sideways" : "upward";
  return [
    `${from} imports ${direction}: ${to} is on floor ${toFloor}, its own floor is ${fromFloor}.`,
  ];
}

function roomOf(file: string): string | undefined {
  return /^src\/([^/]+)\//.exec(file)?.[1];
}

function floorOf(room: string): number | undefined {
  const floor = FLOORS.findIndex((rooms) => rooms.includes(room));
  return floor === -1 ? undefined : floor;
}

/** One cycle for each group of files that reach each other, the same at every run. */
function cycles(graph: ImportGraph): string[][] {
  const done = new Set<string>();
  const found: string[][] = [];
  for (const start of [...graph.keys()].sort()) {
    if (done.has(start)) continue;
    const cycle = pathBack(graph, start);
    if (cycle === undefined) continue;
    found.push(cycle);
    for (const file of cycle) done.add(file);
  }
  return found;
}

/** The shortest way from a file through its imports back to itself. */
function pathBack(graph: ImportGraph, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    for (const next of graph.get(file) ?? []) {
      if (next === start) {
        const path = [file];
        while (path[0] !== start) path.unshift(cameFrom.get(path[0])!);
        return path;
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, file);
      queue.push(next);
    }
  }
  return undefined;
}

function describeCycle(cycle: string[]): string {
  return `Import cycle: ${[...cycle, cycle[0]].join(" → ")}.`;
}

/**
 * Reads the imports of all files of `src/`. Type-only and dynamic imports count, and so do the
 * files that a file starts as workers (`new URL("./worker.ts", import.meta.url)`).
 *
 * @param root The root of the repository.
 */
export async function readImportGraph(root: URL): Promise<ImportGraph> {
  const sources = (await Array.fromAsync(sourcesIn(new URL("src/", root)))).sort();
  const info = await denoInfo(root, sources);
  const graph = new Map<string, readonly string[]>();
  for (const module of info.modules) {
    const path = inside(root, module.specifier);
    if (!path?.startsWith("src/")) continue;
    if (module.error !== undefined) throw new Error(`Cannot read ${path}: ${module.error}`);
    const imported = (module.dependencies ?? []).flatMap((dependency) => {
      const error = dependency.code?.error ?? dependency.type?.error;
      if (error !== undefined) throw new Error(`Cannot resolve an import of ${path}: ${error}`);
      const targets = [dependency.code?.specifier, dependency.type?.specifier];
      // A package by its name is a package, also where a folder of this repository stands in for it.
      const isPackage = !dependency.specifier.startsWith(".");
      return targets.filter((target) => !(isPackage && target?.includes("/links/")));
    });
    const targets = [...imported, ...await workersOf(module.specifier)]
      .map((target) => target === undefined ? undefined : inside(root, target));
    graph.set(path, [...new Set(targets.filter((target) => target !== undefined))]);
  }
  const missing = sources.filter((source) => !graph.has(inside(root, source)!));
  if (missing.length > 0) throw new Error(`deno info says nothing about ${missing.join(", ")}`);
  return graph;
}

interface ModuleInfo {
  specifier: string;
  error?: string;
  dependencies?: { specifier: string; code?: Resolved; type?: Resolved }[];
}

interface Resolved {
  specifier?: string;
  error?: string;
}

async function* sourcesIn(folder: URL): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const name = encodeURIComponent(entry.name);
    if (entry.isDirectory) yield* sourcesIn(new URL(`${name}/`, folder));
    else if (/\.[cm]?[jt]sx?$/.test(entry.name)) yield new URL(name, folder).href;
  }
}

/** Asks once for all files, through a module that imports each of them. */
function denoInfo(root: URL, sources: string[]): Promise<{ modules: ModuleInfo[] }> {
  return withTempDir(async (dir) => {
    const entry = `${dir}/all.ts`;
    const text = sources.map((source) => `import ${JSON.stringify(source)};\n`).join("");
    await Deno.writeTextFile(entry, text);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", "deno.json", entry],
      cwd: root,
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    }).output();
    if (!success) throw new Error(`deno info failed: ${new TextDecoder().decode(stderr)}`);
    return JSON.parse(new TextDecoder().decode(stdout));
  });
}

async function workersOf(specifier: string): Promise<string[]> {
  const source = await Deno.readTextFile(new URL(specifier));
  const entries = source.matchAll(/new URL\(\s*["'](\.[^"']+\.ts)["'],\s*import\.meta\.url/g);
  return [...entries].map(([, relative]) => new URL(relative, specifier).href);
}

/** The path of a file from the root, or undefined for one that is elsewhere. */
function inside(root: URL, specifier: string): string | undefined {
  return specifier.startsWith(root.href)
    ? decodeURIComponent(specifier.slice(root.href.length))
    : undefined;
}
