/**
 * The package as people get it: published to a registry on loopback, then run and imported from
 * there by the commands of the README.
 *
 * @module
 */

import { assert, assertArrayIncludes, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { jsrConfig } from "../../links/jsr_config.ts";
import { type JsrRegistry, startJsrRegistry } from "../../tests/support/jsr_registry.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const STAND_INS = ["std_assert", "std_cli", "std_toml"];

Deno.test("the published package runs and is imported from JSR", async (t) => {
  await withTempDir(async (dir) => {
    await using registry = startJsrRegistry();
    const machine = await newMachine(dir, registry);
    for (const link of STAND_INS) await publish(join(ROOT, "links", link), machine);
    await publish(await stage(dir), machine);
    const { version, exports } = await readConfig();

    await t.step("it holds the program and nothing else of the repository", () => {
      const files = registry.filesOf("@hanzo/network");

      assertArrayIncludes(files, ["deno.json", ...entryPoints(exports)]);
      assertEquals(
        files.filter((file) => /^(tests|bench|links|examples)\/|_test\.ts$/.test(file)),
        [],
      );
    });

    await t.step("deno run -A jsr:@hanzo/network/cli runs the command line", async () => {
      const output = await run(machine, ["run", "-A", "jsr:@hanzo/network/cli", "version"]);

      assertStringIncludes(output, version);
    });

    await t.step(
      "the whole demo runs from there, without the unstable APIs of deno.json",
      async () => {
        const output = await run(machine, [
          "run",
          "-A",
          "jsr:@hanzo/network/cli",
          "demo",
          "--json",
        ]);

        assertEquals(JSON.parse(output).ok, true);
      },
    );

    await t.step("every export can be imported by its name", async () => {
      for (const name of Object.keys(exports)) {
        const specifier = `jsr:@hanzo/network${name.slice(1)}`;
        await run(machine, ["eval", `await import("${specifier}")`]);
      }
    });
  });
});

/** A machine that has npm packages of this one in its cache and has never seen ours. */
interface Machine {
  dir: string;
  env: Record<string, string>;
}

async function newMachine(dir: string, registry: JsrRegistry): Promise<Machine> {
  const home = join(dir, "home");
  await Deno.mkdir(join(home, "deno"), { recursive: true });
  const machine = {
    dir: home,
    env: {
      DENO_DIR: join(home, "deno"),
      DENO_NO_UPDATE_CHECK: "1",
      JSR_URL: registry.url,
      NO_COLOR: "1",
    },
  };
  const { npmCache } = JSON.parse(await run({ dir: home, env: {} }, ["info", "--json"]));
  // Windows makes links for administrators only; there the packages are downloaded once more.
  if (Deno.build.os !== "windows") await Deno.symlink(npmCache, join(home, "deno", "npm"));
  return machine;
}

/** Copies what is published, with the configuration that has no links, as the release does. */
async function stage(dir: string): Promise<string> {
  const staged = join(dir, "staged");
  await Deno.mkdir(staged);
  const config = jsrConfig(await Deno.readTextFile(join(ROOT, "deno.json")));
  for (const path of JSON.parse(config).publish.include) await copy(path, staged);
  await Deno.writeTextFile(join(staged, "deno.json"), config);
  return staged;
}

async function copy(path: string, to: string): Promise<void> {
  const [source, target] = [join(ROOT, path), join(to, path)];
  if (!(await Deno.stat(source)).isDirectory) return await Deno.copyFile(source, target);
  await Deno.mkdir(target, { recursive: true });
  for await (const entry of Deno.readDir(source)) await copy(join(path, entry.name), to);
}

/** Types are checked by the dry run of `.ci/run`; here the package is only built and uploaded. */
async function publish(dir: string, machine: Machine): Promise<void> {
  const args = ["publish", "--no-check", "--allow-slow-types", "--allow-dirty", "--token", "none"];
  await run({ ...machine, dir }, args);
}

async function run({ dir, env }: Machine, args: string[]): Promise<string> {
  const output = await new Deno.Command(Deno.execPath(), { args, env, cwd: dir }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((it) => new TextDecoder().decode(it));
  assert(output.success, `deno ${args.join(" ")} failed:\n${stdout}${stderr}`);
  return stdout;
}

interface PackageConfig {
  version: string;
  exports: Record<string, string>;
}

async function readConfig(): Promise<PackageConfig> {
  return JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
}

function entryPoints(exports: Record<string, string>): string[] {
  return Object.values(exports).map((path) => path.replace("./", ""));
}
