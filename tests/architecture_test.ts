/**
 * The house of `docs/ARCHITECTURE.md`: rooms import downwards only. The first test judges `src/`,
 * the others prove that it would notice.
 *
 * @module
 */

import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { pathToFileURL } from "node:url";
import { FLOORS, type ImportGraph, readImportGraph, violations } from "./support/architecture.ts";
import { withTempDir } from "./support/temp.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("every room of src/ imports rooms on lower floors only", async () => {
  const graph = await readImportGraph(ROOT);

  assertGreater(graph.size, 0);
  assertEquals(violations(graph), []);
});

Deno.test("imports of lower floors, of the own room and of the version are allowed", () => {
  const allowed = graphOf({
    "src/base/errors.ts": ["deno.json"],
    "src/link/pool.ts": ["src/link/frame.ts", "src/membership/peer.ts", "src/base/errors.ts"],
    "src/link/frame.ts": [],
    "src/membership/peer.ts": ["src/base/errors.ts"],
  });

  assertEquals(violations(allowed), []);
});

const WRONG: { name: string; imports: Record<string, string[]>; says: string }[] = [
  {
    name: "an import of a higher floor",
    imports: { "src/base/errors.ts": ["src/link/pool.ts"], "src/link/pool.ts": [] },
    says: "src/base/errors.ts imports upward: src/link/pool.ts is on floor 3",
  },
  {
    name: "an import of a room on the same floor",
    imports: { "src/link/pool.ts": ["src/routing/rank.ts"], "src/routing/rank.ts": [] },
    says: "src/link/pool.ts imports sideways: src/routing/rank.ts is on floor 3",
  },
  {
    name: "an import cycle within a room",
    imports: {
      "src/base/a.ts": ["src/base/b.ts"],
      "src/base/b.ts": ["src/base/c.ts"],
      "src/base/c.ts": ["src/base/a.ts"],
    },
    says: "Import cycle: src/base/a.ts → src/base/b.ts → src/base/c.ts → src/base/a.ts.",
  },
  {
    name: "a file that imports itself",
    imports: { "src/base/a.ts": ["src/base/a.ts"] },
    says: "Import cycle: src/base/a.ts → src/base/a.ts.",
  },
  {
    name: "a room without a floor",
    imports: { "src/utils/strings.ts": [] },
    says: "src/utils/ is a room without a floor.",
  },
  {
    name: "a file outside the rooms",
    imports: { "src/helpers.ts": [] },
    says: "src/helpers.ts is in no room",
  },
  {
    name: "an import of a helper of the tests",
    imports: { "src/base/clock.ts": ["tests/support/temp.ts"] },
    says: "src/base/clock.ts imports the test tests/support/temp.ts.",
  },
  {
    name: "an import of a test beside the file",
    imports: { "src/base/clock.ts": ["src/base/clock_test.ts"], "src/base/clock_test.ts": [] },
    says: "src/base/clock.ts imports the test src/base/clock_test.ts.",
  },
  {
    name: "an import of the public face",
    imports: { "src/cli/main.ts": ["mod.ts"] },
    says: "src/cli/main.ts imports mod.ts, which is in no room.",
  },
];

for (const { name, imports, says } of WRONG) {
  Deno.test(`the floors forbid ${name}`, () => {
    const found = violations(graphOf(imports));

    assertEquals(found.length, 1, found.join("\n"));
    assertStringIncludes(found[0], says);
  });
}

Deno.test("type-only imports, dynamic imports and workers are read as imports", async () => {
  await withTempDir(async (dir) => {
    const root = pathToFileURL(`${await Deno.realPath(dir)}/`);
    await write(root, {
      "deno.json": "{}",
      "src/base/a.ts": `
        import type { B } from "../link/b.ts";
        export type { C } from "../link/c.ts";
        export const load = (): Promise<unknown> => import("../link/d.ts");
        export const start = (): Worker =>
          new Worker(new URL("../link/e.ts", import.meta.url), { type: "module" });
        export const b: B = 1;`,
      "src/link/b.ts": "export type B = number;",
      "src/link/c.ts": "export type C = number;",
      "src/link/d.ts": "export const d = 1;",
      "src/link/e.ts": "export {};",
      "src/link/unreachable.ts": 'export * from "./b.ts";',
    });

    const graph = await readImportGraph(root);

    assertEquals(graph.get("src/base/a.ts"), [
      "src/link/b.ts",
      "src/link/c.ts",
      "src/link/d.ts",
      "src/link/e.ts",
    ]);
    assertEquals(graph.get("src/link/unreachable.ts"), ["src/link/b.ts"]);
    assertEquals(violations(graph).length, 4);
  });
});

Deno.test("every room has one floor", () => {
  const rooms = FLOORS.flat();

  assertEquals(rooms, [...new Set(rooms)]);
});

function graphOf(imports: Record<string, string[]>): ImportGraph {
  return new Map(Object.entries(imports));
}

async function write(root: URL, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = new URL(path, root);
    await Deno.mkdir(new URL("./", file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
}
