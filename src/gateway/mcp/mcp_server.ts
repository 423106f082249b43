/** This network as an MCP server: what programs such as Claude Code see of it. */

import { McpServer } from "@modelcontextprotocol/server";
import { VERSION } from "../../network/version.ts";
import { addDeviceTools } from "./device_tools.ts";
import type { FindNetwork } from "./network_port.ts";
import { addResources } from "./resources.ts";
import { addRunTools } from "./run_tools.ts";
import { addStateTools } from "./state_tools.ts";
import { addTaskTools } from "./task_tools.ts";

const INSTRUCTIONS = "One computer out of all the devices a person owns. list_devices, " +
  "list_agents and list_models say what there is; run_agent and ask_model have work done on the " +
  "device that suits it best. get_state, set_state, list_state and delete_state are a store that " +
  "all devices share.";

/**
 * A server with all tools and resources, for one connection.
 *
 * @param find Finds the node, anew for each call.
 */
export function networkMcpServer(find: FindNetwork): McpServer {
  const server = new McpServer(
    { name: "hanzo-network", title: "Hanzo Network", version: VERSION },
    {
      instructions: INSTRUCTIONS,
      // What there is to call is the same as long as the program runs.
      capabilities: { tools: { listChanged: false }, resources: { listChanged: false } },
    },
  );
  addDeviceTools(server, find);
  addRunTools(server, find);
  addStateTools(server, find);
  addTaskTools(server, find);
  addResources(server, find);
  return server;
}
