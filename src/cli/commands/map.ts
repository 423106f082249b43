/** `map`: many prompts to an agent, spread over the devices that can run it. */

import { safeLine } from "../../base/safe_text.ts";
import type { MapProgress } from "../../tasks/map_prompts.ts";
import { MAX_CONCURRENCY } from "../../tasks/map_prompts.ts";
import { type Command, type Invocation, NODE_OPTIONS, UsageError } from "../command.ts";
import { LiveRegion } from "../live_region.ts";
import { findNode } from "../node_client.ts";
import { progressBar } from "../progress_bar.ts";
import { readInput, TASK_OPTIONS, taskBody } from "../task_options.ts";

export const command: Command = {
  positionals: "FILE|-",
  summary: "Run an agent with each line of a file, spread over the devices",
  options: [
    { name: "agent", kind: "text", value: "NAME", help: "the agent (see: hanzo-network agents)" },
    {
      name: "concurrency",
      kind: "text",
      value: "N",
      help: `how many run at a time, 1 to ${MAX_CONCURRENCY} (default: as keeps all busy)`,
    },
    {
      name: "json-lines",
      kind: "flag",
      help: "each line of the file is a JSON string, so that a prompt may have several lines",
    },
    { name: "node", kind: "text", value: "ID", help: "only this node" },
    ...TASK_OPTIONS,
    ...NODE_OPTIONS,
  ],
  example: "hanzo-network map prompts.txt --agent calculator",
  async run({ positionals, options, terminal, signal }: Invocation): Promise<number> {
    const agent = options.text("agent");
    const [file, ...more] = positionals;
    if (agent === undefined || file === undefined || more.length > 0) {
      throw new UsageError(
        "Say what to run, a prompt a line: hanzo-network map --agent NAME FILE (- is stdin)",
      );
    }
    if (file === "-" && options.text("context") === "-") {
      throw new UsageError("Stdin can be the prompts or the context, not both.");
    }
    const concurrency = options.integer("concurrency", 1, MAX_CONCURRENCY);
    const prompts = promptsIn(await readInput(file), options.flag("json-lines"));
    const body = { ...await taskBody(options), agent, prompts, concurrency };
    const node = await findNode(options);

    const bar = new LiveRegion(terminal.stderr);
    let progress: MapProgress = { done: 0, failed: 0, total: prompts.length };
    const showBar = () => bar.show([progressBar(progress, prompts.length)]);
    try {
      showBar();
      for await (const line of node.map(body, signal)) {
        if (line.type === "progress") {
          progress = line;
          showBar();
          continue;
        }
        // Stdout may be the same terminal.
        bar.show([]);
        const { type: _, ...item } = line;
        if (terminal.json) {
          terminal.value(item);
        } else if ("result" in item) {
          terminal.line(safeLine(item.result.output));
        } else {
          // An answer a line, also where there is none: the lines go with those of the prompts.
          terminal.line();
          const why = `Prompt ${item.index + 1} failed: ${safeLine(item.error.message)}`;
          terminal.error(terminal.style("red", why));
        }
        showBar();
      }
    } finally {
      bar.show([]);
    }
    const { done, failed } = progress;
    if (done < prompts.length) throw node.brokenOff();
    const summary = `${done} of ${prompts.length} done${failed > 0 ? `, ${failed} failed` : ""}`;
    if (!terminal.json) terminal.error(terminal.style("dim", summary));
    return failed > 0 ? 1 : 0;
  },
};

function promptsIn(text: string, areJson: boolean): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return areJson ? lines.map(stringOf) : lines;
}

function stringOf(line: string, index: number): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Told below.
  }
  if (typeof value === "string") return value;
  throw new UsageError(`Line ${index + 1} is no JSON string: ${safeLine(line).slice(0, 60)}`);
}
