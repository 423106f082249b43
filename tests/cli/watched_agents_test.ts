/** Agents whose files change while their node runs. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Agent } from "../../src/agents/agent.ts";
import type { AgentNetwork } from "../../src/agents/networks/agent_network.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { systemClock } from "../../src/base/clock.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { AgentFiles } from "../../src/cli/agent_files.ts";
import { type FolderWatch, WatchedAgents } from "../../src/cli/watched_agents.ts";
import { answerOf, callOf } from "../agents/calls.ts";
import { eventually } from "../support/eventually.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { soon } from "../support/soon.ts";
import { withTempDir } from "../support/temp.ts";

const AGENT = new URL("../../src/agents/agent.ts", import.meta.url).href;

/** A module with an agent "greeter" that answers with the value of an expression. */
function greeter(answer: string, imports = ""): string {
  return `import { createAgent } from "${AGENT}";
${imports}
export const greeter = createAgent({
  name: "greeter",
  description: "Greets",
  run: () => ${answer},
});
`;
}

/** A watch on folders that the test itself tells of changes. */
function tellingWatch() {
  const watches: { folders: string[]; tell: (path: string, kind?: string) => void }[] = [];
  const watch = (folders: string[]): FolderWatch => {
    // As those of the system do.
    for (const folder of folders) Deno.statSync(folder);
    const { readable, writable } = new TransformStream<{ kind: string; paths: string[] }>();
    const writer = writable.getWriter();
    const tell = (path: string, kind = "modify") => void writer.write({ kind, paths: [path] });
    watches.push({ folders, tell });
    return {
      [Symbol.asyncIterator]: () => readable.values(),
      close: () => void writer.close().catch(() => {}),
    };
  };
  return { watch, watches };
}

/** Watches a module, in time that the test moves, and as far as it is told. */
async function rig(file: string, { taken = new Set<string>() } = {}) {
  const files = new AgentFiles([file]);
  let agents = await files.load();
  const clock = new ManualClock();
  const log = recordingLogger();
  const { watch, watches } = tellingWatch();
  let loads = 0;
  const watched = new WatchedAgents({
    files,
    clock,
    logger: log.logger,
    watch,
    replace: (others: (Agent | AgentNetwork)[]) => {
      loads++;
      const name = others.find(({ name }) => taken.has(name))?.name;
      if (name !== undefined) throw new Error(`"${name}" is taken.`);
      agents = others;
    },
  });
  watched.start();
  await eventually(() => watches.length === 1, { what: "the watch" });
  return {
    clock,
    log,
    watches,
    loads: () => loads,
    answer: async () => (await answerOf(agents[0] as Agent, callOf({}))).output,
    /** Tells of a change, and lets the quiet after it pass. */
    async tell(path: string) {
      watches.at(-1)!.tell(path);
      for (let turn = 0; turn < 5; turn++) await clock.advance(100);
    },
    async [Symbol.asyncDispose]() {
      await watched.stop();
      files.close();
    },
  };
}

Deno.test("a file that changes gives its node other agents, and an error in it leaves the old ones", async () => {
  await withTempDir(async (directory) => {
    const file = `${directory}/agents.ts`;
    await Deno.writeTextFile(file, greeter('"one"'));
    await using node = await rig(file);
    assertEquals(await node.answer(), "one");

    await Deno.writeTextFile(file, greeter('"two"'));
    await node.tell(file);
    await eventually(async () => await node.answer() === "two", { what: "the second version" });
    assertStringIncludes(node.log.lines("info").join(), "the agents are greeter now");

    for (const broken of ["export const x = ;", "export const nothing = 1;", "throw 1;"]) {
      const said = node.log.lines("warn").length;
      await Deno.writeTextFile(file, broken);
      await node.tell(file);
      await eventually(() => node.log.lines("warn").length > said, { what: "what is wrong" });
      assertEquals(await node.answer(), "two");
      // It is said once, however often the file is touched.
      await node.tell(file);
      assertEquals(node.log.lines("warn").length, said + 1);
      assertStringIncludes(node.log.lines("warn").at(-1)!, "The agents of before stay.");
    }
    await Deno.writeTextFile(file, greeter('"three"'));
    await node.tell(file);
    await eventually(async () => await node.answer() === "three", { what: "the third version" });
  });
});

Deno.test("a module that finds a file of its own missing is told from one that is missing itself", async () => {
  await withTempDir(async (directory) => {
    const load = (file: string) => assertRejects(() => new AgentFiles([file]).load(), NetworkError);
    const file = `${directory}/agents.ts`;
    const missing = await load(file);
    await Deno.writeTextFile(file, `await Deno.readTextFile("${directory}/prompt.txt");`);
    const reading = await load(file);

    assertStringIncludes(missing.message, "there is no such file");
    assertStringIncludes(reading.message, "prompt.txt");
  });
});

Deno.test("many changes at once are one, and what stays the same is not loaded again", async () => {
  await withTempDir(async (directory) => {
    const file = `${directory}/agents.ts`;
    await Deno.writeTextFile(file, greeter('"one"'));
    await using node = await rig(file);
    const [{ tell }] = node.watches;
    await node.tell(file);
    assertEquals(node.loads(), 0);

    await Deno.writeTextFile(file, greeter('"two"'));
    for (let i = 0; i < 5; i++) {
      tell(file);
      await node.clock.advance(60);
    }
    tell(`${directory}/other.txt`);
    tell(file, "access");
    assertEquals([node.loads(), await node.answer()], [0, "one"]);
    await node.clock.advance(40);
    await eventually(async () => await node.answer() === "two", { what: "the second version" });
    assertEquals(node.loads(), 1);
  });
});

Deno.test("what a module imports from its own folder is loaded again with it, and nothing else", async () => {
  await withTempDir(async (directory) => {
    const [file, words] = [`${directory}/agents.ts`, `${directory}/words/words.ts`];
    await Deno.mkdir(`${directory}/words`);
    await Deno.writeTextFile(`${directory}/outside.ts`, "export const loaded = performance.now();");
    await Deno.mkdir(`${directory}/mine`);
    const mine = `${directory}/mine/agents.ts`;
    await Deno.writeTextFile(words, 'export const word: string = "one";');
    await Deno.writeTextFile(file, greeter("word", 'import { word } from "./words/words.ts";'));
    {
      await using node = await rig(file);
      assertEquals(node.watches[0].folders.length, 2);
      await Deno.writeTextFile(words, 'export const word: string = "two";');
      await node.tell(words);
      await eventually(async () => await node.answer() === "two", { what: "the other word" });
    }
    const imports = 'import { loaded } from "../outside.ts";';
    await Deno.writeTextFile(mine, greeter("`${loaded}`", imports));
    await using node = await rig(mine);
    const before = await node.answer();
    await Deno.writeTextFile(mine, greeter("`${loaded} again`", imports));
    await node.tell(mine);
    await eventually(async () => await node.answer() === `${before} again`, { what: "the agent" });
  });
});

Deno.test("agents that the node cannot have leave it those of before", async () => {
  await withTempDir(async (directory) => {
    const file = `${directory}/agents.ts`;
    await Deno.writeTextFile(file, greeter('"one"'));
    await using node = await rig(file, { taken: new Set(["greeter"]) });
    await Deno.writeTextFile(file, greeter('"two"'));
    await node.tell(file);
    await eventually(() => node.log.lines("warn").length === 1, { what: "what is wrong" });
    assertStringIncludes(node.log.lines("warn")[0], '"greeter" is taken.');
    assertEquals(await node.answer(), "one");
  });
});

Deno.test("a folder that goes and comes again, or another one in its place, is watched again", async () => {
  await withTempDir(async (directory) => {
    const [folder, file] = [`${directory}/agents`, `${directory}/agents/agents.ts`];
    await Deno.mkdir(folder);
    await Deno.writeTextFile(file, greeter('"one"'));
    await using node = await rig(file);
    const becomes = (answer: string) =>
      eventually(async () => {
        await node.clock.advance(100);
        return await node.answer() === answer;
      }, { what: answer });

    await Deno.rename(folder, `${directory}/before`);
    node.watches[0].tell(folder, "remove");
    await eventually(async () => {
      await node.clock.advance(100);
      return node.log.lines("warn").length > 0;
    }, { what: "that it is gone" });
    await node.clock.advance(3_000);
    assertEquals(await node.answer(), "one");
    await Deno.mkdir(folder);
    await Deno.writeTextFile(file, greeter('"two"'));
    await becomes("two");
    await eventually(() => node.watches.length === 2, { what: "the watch on the other folder" });
    await Deno.writeTextFile(file, greeter('"three"'));
    node.watches[1].tell(file);
    await becomes("three");

    assertEquals(node.log.lines("warn").length, 1, "it is told once");
  });
});

Deno.test("a file that an editor puts in the place of another one is seen", async () => {
  await withTempDir(async (directory) => {
    const file = `${directory}/agents.ts`;
    await Deno.writeTextFile(file, greeter('"one"'));
    const files = new AgentFiles([file]);
    await files.load();
    const log = recordingLogger();
    const begun = Promise.withResolvers<void>();
    const replaced = Promise.withResolvers<(Agent | AgentNetwork)[]>();
    const watched = new WatchedAgents({
      files,
      clock: systemClock,
      logger: log.logger,
      watch: (folders) => {
        const watch = Deno.watchFs(folders, { recursive: false });
        begun.resolve();
        return watch;
      },
      replace: replaced.resolve,
    });
    watched.start();
    await begun.promise;
    await Deno.writeTextFile(`${file}.tmp`, greeter('"two"'));
    await Deno.rename(`${file}.tmp`, file);
    const agents = await soon(replaced.promise, "the other agents");
    assertEquals((await answerOf(agents[0] as Agent, callOf({}))).output, "two");
    await watched.stop();
    files.close();
    assertEquals(log.lines("warn"), []);
  });
});
