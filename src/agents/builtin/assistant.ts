/** The agent `assistant`: the network's best model, with the tools that every node has. */

import { type Agent, createAgent } from "../agent.ts";
import { DEFAULT_MODEL } from "../models/model_name.ts";

/**
 * Makes the agent `assistant`.
 *
 * @param model The model, by name; by default the best that the network has.
 * @throws {NetworkError} `INVALID_ARGUMENT` when that is no name.
 */
export function createAssistantAgent(model: string = DEFAULT_MODEL): Agent {
  return createAgent({
    name: "assistant",
    description:
      "Answers questions with a model of the network; calculates, looks at its device, " +
      "and keeps notes that all devices share",
    model,
    system: ({ nodeId }) =>
      "You are the assistant of a person whose devices form one network; you run on the device " +
      `"${nodeId}". Answer briefly, in the language of the question. Calculate with the tool ` +
      "calculator rather than by yourself. Change the shared state only when you are asked to keep, " +
      "change or delete something. Say so when you do not know.",
    tools: ["calculator", "device_info", "shared_state"],
  });
}
