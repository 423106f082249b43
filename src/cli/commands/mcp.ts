/** `mcp`: the network as an MCP server on stdin and stdout, for Claude Code and others. */

import { describeError } from "../../base/errors.ts";
import { needGranted } from "../../base/permissions.ts";
import { safeLine } from "../../base/safe_text.ts";
import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { dataDirectory, runningNodes } from "../../network/data_directory.ts";
import { findNode } from "../node_client.ts";
import { environment } from "../option_values.ts";

export const command: Command = {
  positionals: "",
  summary: "Let Claude Code and other programs use the network, by MCP",
  options: NODE_OPTIONS,
  example: "hanzo-network mcp",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    // Told at once and to who starts it, instead of at the first call to a model.
    needGranted("Cannot serve MCP", { name: "net", host: "127.0.0.1" });
    await runningNodes(dataDirectory(options.text("data-dir"), environment));
    if (Deno.stdin.isTerminal()) {
      // Only there somebody sees it.
      terminal.error(
        "This speaks MCP on stdin and stdout, to programs. Add it to one: " +
          "claude mcp add hanzo -- hanzo-network mcp",
      );
    }
    const [{ networkMcpServer }, { serveStdio, StdioServerTransport }] = await Promise.all([
      import("../../gateway/mcp/mcp_server.ts"),
      import("@modelcontextprotocol/server/stdio"),
    ]);
    // Found anew for each call, so that a node may come and go meanwhile.
    const find = () => findNode(options);
    const transport = new StdioServerTransport();
    const served = serveStdio(() => networkMcpServer(find), {
      transport,
      onerror: (error) => terminal.error(safeLine(`hanzo-network: ${describeError(error)}`)),
    });
    await ended(transport, signal);
    await served.close();
    return 0;
  },
};

/** Resolves when the client closes the connection, or this is to stop. */
async function ended(
  transport: { onclose?: () => void },
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { onclose } = transport;
  transport.onclose = () => {
    onclose?.();
    resolve();
  };
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
}
