/** `chat`: a conversation with an agent or a model of the network. */

import { systemClock } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { named } from "../../base/named.ts";
import { safeLine } from "../../base/safe_text.ts";
import { askPartner, type ChatTarget } from "../chat_partner.ts";
import { ChatSession } from "../chat_session.ts";
import {
  type Command,
  type Invocation,
  NODE_OPTIONS,
  type OptionValues,
  UsageError,
} from "../command.ts";
import { lines } from "../node_answers.ts";
import { findNode, type NodeClient } from "../node_client.ts";
import { plural } from "../show.ts";
import type { Terminal } from "../terminal.ts";
import { typedMessages } from "../typed_messages.ts";

/** It is on every node, and needs a model. */
const DEFAULT_AGENT = "assistant";

export const command: Command = {
  positionals: "",
  summary: "Talk to an agent or a model of the network",
  options: [
    {
      name: "agent",
      kind: "text",
      value: "NAME",
      help: `talk to this agent (default: ${DEFAULT_AGENT}; see: hanzo-network agents)`,
    },
    {
      name: "model",
      kind: "text",
      value: "NAME",
      help: "talk to this model (see: hanzo-network models)",
    },
    {
      name: "thread",
      kind: "text",
      value: "NAME",
      help: "keep what is said, so that it goes on from any device; with an agent",
    },
    { name: "node", kind: "text", value: "ID", help: "only this node" },
    { name: "system", kind: "text", value: "TEXT", help: "what a model is told beforehand" },
    ...NODE_OPTIONS,
  ],
  example: "hanzo-network chat",
  ownInterrupts: true,
  async run({ positionals, options, terminal, signal }: Invocation): Promise<number> {
    const target = targetOf(positionals, options);
    const [thread, system] = [options.text("thread"), options.text("system")];
    const client = await findNode(options);
    await needTarget(client, target, signal, options.text("agent") === undefined);
    const isInteractive = !terminal.json && Deno.stdin.isTerminal() && terminal.isInteractive;
    if (isInteractive) await greet(client, terminal, thread, signal);
    const session = new ChatSession({
      terminal,
      isInteractive,
      target,
      thread,
      system,
      node: options.text("node"),
      // Found anew each time: a node may be started again meanwhile.
      ask: async function* (...question) {
        yield* askPartner(await findNode(options), ...question);
      },
      names: async (kind) => {
        const node = await findNode(options);
        return kind === "model"
          ? (await node.models()).map(({ name }) => name)
          : (await node.agents()).map(({ agent }) => agent.name);
      },
    });
    const typed = lines(new Response(Deno.stdin.readable));
    const hint = (text: string) => terminal.error(terminal.style("dim", text));
    const typedHere = typedMessages(typed, {
      clock: systemClock,
      onPaste: () => hint("Enter sends what was pasted."),
      onCut: () =>
        hint(
          "That line is as long as a terminal takes one, so its end may be missing. Part it into " +
            'several, or give it as a file: hanzo-network run "PROMPT" --context FILE',
        ),
    });
    const interrupt = () => {
      typedHere.drop();
      session.interrupt();
    };
    const leave = () => session.leave();
    signal.addEventListener("abort", leave, { once: true });
    Deno.addSignalListener("SIGINT", interrupt);
    try {
      const wentWell = await session.run(isInteractive ? typedHere : typed);
      if (isInteractive) terminal.line();
      // A person has seen what went wrong.
      return isInteractive || (wentWell && !session.left.aborted) ? 0 : 1;
    } finally {
      Deno.removeSignalListener("SIGINT", interrupt);
      signal.removeEventListener("abort", leave);
    }
  },
};

function targetOf(positionals: readonly string[], options: OptionValues): ChatTarget {
  const [agent, model] = [options.text("agent"), options.text("model")];
  if (positionals.length > 0) {
    throw new UsageError("chat takes no message: type it then, or give it on stdin.");
  }
  if (agent !== undefined && model !== undefined) {
    throw new UsageError("--agent and --model exclude each other.");
  }
  if (model !== undefined && options.text("thread") !== undefined) {
    throw new UsageError("--thread keeps what agents are asked: leave out --model.");
  }
  if (model === undefined && options.text("system") !== undefined) {
    throw new UsageError("--system goes with --model: an agent has its own.");
  }
  return model === undefined
    ? { kind: "agent", name: agent ?? DEFAULT_AGENT }
    : { kind: "model", name: model };
}

/** What cannot be had is told before the first message is typed. */
async function needTarget(
  node: NodeClient,
  { kind, name }: ChatTarget,
  signal: AbortSignal,
  needsModel: boolean,
): Promise<void> {
  if (needsModel && (await node.models(signal)).length === 0) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot talk to ${kind} "${name}": no device of the network has a model. Start an engine on ` +
        "one of them, such as Ollama: ollama pull llama3.2",
    );
  }
  if (kind === "model") return;
  const names = (await node.agents(signal)).map(({ agent }) => agent.name);
  if (names.includes(name)) return;
  throw new NetworkError(
    "NOT_FOUND",
    `Cannot talk to agent "${name}": no node of the network has it. There are: ${named(names)}.`,
  );
}

async function greet(
  node: NodeClient,
  terminal: Terminal,
  thread: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const tell = (text: string) => terminal.error(terminal.style("dim", safeLine(text)));
  tell("/help shows what there is; Ctrl-C stops an answer, Ctrl-D leaves.");
  if (thread === undefined) return;
  const kept = (await node.threads.list(signal)).find(({ name }) => name === thread);
  tell(
    kept === undefined
      ? `Thread ${thread} begins.`
      : `Thread ${thread} goes on after ${plural(kept.messages, "message")}.`,
  );
}
