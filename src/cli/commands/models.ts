/** `models`: what the engines of all devices have, and what else a node calls it. */

import type { ModelOnDevice, NetworkModel } from "../../network/catalog.ts";
import type { ModelAlias } from "../../network/models/model_names.ts";
import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { findNode } from "../node_client.ts";
import { showCount, showMilliseconds, showSize } from "../show.ts";
import { table } from "../table.ts";
import { cutToWidth } from "../width.ts";

export const command: Command = {
  positionals: "",
  summary: "List the models of the network",
  options: NODE_OPTIONS,
  example: "hanzo-network models",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const node = await findNode(options);
    const [models, aliases] = await Promise.all([node.models(signal), node.modelAliases(signal)]);
    if (terminal.json) {
      terminal.value(models.map((model) => ({ ...model, aliases: namesOf(model, aliases) })));
      return 0;
    }
    if (models.length === 0) {
      terminal.line(
        "No device of the network has a model. Start Ollama, or another engine, on one.",
      );
      return 0;
    }
    for (const line of modelTable(models, terminal.columns)) terminal.line(line);
    if (aliases.length === 0) return 0;
    terminal.line();
    const meanings = aliases.map(({ name, models }) => [name, models.join(", ") || "no model now"]);
    for (const line of table(["ALIAS", "MEANS"], meanings, terminal.columns)) terminal.line(line);
    return 0;
  },
};

/** A line for each device that has a model. By its name it is asked, so that is cut last. */
export function modelTable(models: readonly NetworkModel[], columns: number): string[] {
  const headings = [
    "MODEL",
    "NODE",
    "LOADED",
    "SIZE",
    "PARAMETERS",
    "CONTEXT",
    "QUANTIZATION",
    "CAN",
    "ENGINE",
  ];
  const isMeasured = models.some(({ devices }) => devices.some(hasSpeed));
  if (isMeasured) headings.push("FIRST TOKEN", "TOKENS/S");
  const mostOfName = Math.floor(columns / 2);
  const cells = models.flatMap((model) => rows(model, isMeasured))
    .map(([name, ...rest]) => [cutToWidth(name, mostOfName), ...rest]);
  return table(headings, cells, columns, 1);
}

/** The names of the node that stand for a model, alone or among others. */
function namesOf({ name }: NetworkModel, aliases: readonly ModelAlias[]): string[] {
  return aliases.filter(({ models }) => models.includes(name)).map((alias) => alias.name);
}

/** One for each device that has it. */
function rows({ name, devices }: NetworkModel, isMeasured: boolean): string[][] {
  return devices.map((model) => [
    name,
    model.nodeId,
    model.loaded ? "yes" : "no",
    showSize(model.sizeBytes),
    showCount(model.parameters),
    showCount(model.contextLength, 1_024),
    model.quantization ?? "–",
    model.capabilities.join(", ") || "–",
    model.lastResort ? `${model.engine}, last resort` : model.engine,
    ...isMeasured ? speedOf(model) : [],
  ]);
}

/** Whether this node has asked it there. */
function hasSpeed({ firstTokenMs, tokensPerSecond }: ModelOnDevice): boolean {
  return firstTokenMs !== null || tokensPerSecond !== null;
}

function speedOf({ firstTokenMs, tokensPerSecond }: ModelOnDevice): string[] {
  return [
    firstTokenMs === null ? "–" : showMilliseconds(firstTokenMs),
    tokensPerSecond === null ? "–" : `${Number(tokensPerSecond.toPrecision(3))}`,
  ];
}
