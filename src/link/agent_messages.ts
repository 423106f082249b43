/** Agents and what they ask of a device, as messages of `proto/` and as plain data. */

import type { AgentDescription } from "../agents/agent.ts";
import { checkRequirements, type Requirements, type Workload } from "../agents/requirements.ts";
import { NetworkError } from "../base/errors.ts";
import { isLabel, safeName, safeText } from "../base/safe_text.ts";
import type { PlainMessage } from "./proto_codec.ts";

/** What a program may offer: of all of a node's agents there may be four times as many. */
export const MAX_OFFERED = 64;
const MAX_DESCRIPTION_LENGTH = 4_096;
const MAX_TOOLS = 256;

/** An agent of the network, with the nodes that have it. */
export interface ListedAgent {
  readonly agent: AgentDescription;
  readonly nodes: readonly string[];
}

/** A value of an enum by its name in `proto/`: `"WORKLOAD_HEAVY"` for `"heavy"`. */
export function enumName(prefix: string, value: string | undefined): string {
  const name = value === undefined ? "UNSPECIFIED" : value.toUpperCase().replaceAll("-", "_");
  return `${prefix}_${name}`;
}

/**
 * The other way round; undefined where nothing was chosen.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` for a number that has no name.
 */
export function enumValue(prefix: string, name: unknown): string | undefined {
  if (name === undefined || name === `${prefix}_UNSPECIFIED`) return undefined;
  if (typeof name === "string") {
    return name.slice(prefix.length + 1).toLowerCase().replaceAll("_", "-");
  }
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot read the message: ${safeName(String(name))} is no ${prefix.toLowerCase()}.`,
  );
}

/** The message of a list of agents. */
export function agentListMessage(agents: readonly ListedAgent[]): PlainMessage {
  return {
    agents: agents.map(({ agent, nodes }) => ({
      name: agent.name,
      description: agent.description,
      workload: enumName("WORKLOAD", agent.workload),
      requirements: agent.requirements,
      idempotent: agent.idempotent,
      tools: agent.tools,
      nodes,
    })),
  };
}

/**
 * Reads what a program offers.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the agent that does not fit, and why.
 */
export function readAgentList({ agents }: PlainMessage): AgentDescription[] {
  const list: PlainMessage[] = agents;
  if (list.length > MAX_OFFERED) {
    throw refusal(`it offers ${list.length} agents, at most ${MAX_OFFERED} are taken`);
  }
  const read = list.map(readAgent);
  const twice = read.find(({ name }, i) => read.findIndex((one) => one.name === name) !== i);
  if (twice !== undefined) throw refusal(`it offers two agents called "${twice.name}"`);
  return read;
}

function readAgent(message: PlainMessage): AgentDescription {
  const { name = "", description = "", requirements, idempotent } = message;
  const tools: string[] = message.tools;
  if (!isLabel(name)) {
    throw refusal(`an agent is called ${JSON.stringify(safeName(name))}, which is no label`);
  }
  if (description.length > MAX_DESCRIPTION_LENGTH) {
    throw refusal(`the description of "${name}" is longer than ${MAX_DESCRIPTION_LENGTH}`);
  }
  if (tools.length > MAX_TOOLS || !tools.every(isLabel)) {
    throw refusal(`the tools of "${name}" are too many, or one is no label`);
  }
  return {
    name,
    description: safeText(description),
    workload: (enumValue("WORKLOAD", message.workload) ?? "light") as Workload,
    requirements: readRequirements(requirements, `Cannot take agent "${name}"`) ?? {},
    idempotent: idempotent ?? tools.length === 0,
    tools,
  };
}

/**
 * Reads what is asked of a device; undefined where nothing is.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the field that does not fit.
 */
export function readRequirements(
  message: PlainMessage | undefined,
  action?: string,
): Requirements | undefined {
  if (message === undefined) return undefined;
  const { tools, labels, ...rest } = message;
  return checkRequirements({
    ...rest,
    ...(tools.length > 0 && { tools }),
    ...(labels.length > 0 && { labels }),
  }, action);
}

function refusal(reason: string): NetworkError {
  return new NetworkError("INVALID_ARGUMENT", `Cannot take the agents of a program: ${reason}.`);
}
