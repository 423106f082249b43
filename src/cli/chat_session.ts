/** A conversation: messages and commands in, answers out as they are made. */

import { CallLabels } from "../agents/call_labels.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { named } from "../base/named.ts";
import { safeLine, safeName, safeText } from "../base/safe_text.ts";
import type { ChatEvent, ChatQuestion, ChatTarget, ChatTurn } from "./chat_partner.ts";
import type { Terminal } from "./terminal.ts";

/** What a conversation is made of. */
export interface ChatSessionOptions {
  readonly terminal: Pick<Terminal, "json" | "write" | "line" | "error" | "value" | "style">;
  /** Whether a person types: only then there are commands, and a prompt. */
  readonly isInteractive: boolean;
  readonly target: ChatTarget;
  readonly thread?: string;
  readonly system?: string;
  readonly node?: string;
  readonly ask: (
    target: ChatTarget,
    question: ChatQuestion,
    signal: AbortSignal,
  ) => AsyncGenerator<ChatEvent, void, void>;
  /** The names that there are of a kind. */
  readonly names: (kind: ChatTarget["kind"]) => Promise<string[]>;
}

/** Of what tools are given and say. */
const MAX_SHOWN = 160;

const HELP = [
  "/model [NAME]  talk to this model; alone: which there are",
  "/agent [NAME]  talk to this agent; alone: which there are",
  "/new           begin anew",
  "/exit          leave, as Ctrl-D does",
  "Ctrl-C stops an answer; twice, it leaves.",
];

/** See the top of the file. */
export class ChatSession {
  readonly #options: ChatSessionOptions;
  #target: ChatTarget;
  #thread: string | undefined;
  #turns: ChatTurn[] = [];
  /** Stops the answer that is being made. */
  #answering: AbortController | undefined;
  #left = new AbortController();
  /** Whether Ctrl-C was pressed, and nothing since. */
  #isWarned = false;
  #hasFailed = false;

  constructor(options: ChatSessionOptions) {
    this.#options = options;
    this.#target = options.target;
    this.#thread = options.thread;
  }

  /** Aborts when the conversation is to end. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  /** Ctrl-C: stops the answer, or warns; the second time it leaves. */
  interrupt(): void {
    const { isInteractive, terminal } = this.#options;
    const stopped = this.#answering !== undefined && !this.#answering.signal.aborted;
    if (!isInteractive || (this.#isWarned && !stopped)) this.leave();
    else if (!stopped) terminal.error("\nCtrl-C once more, Ctrl-D or /exit leaves.");
    this.#isWarned = true;
    this.#answering?.abort();
    if (!stopped && !this.#left.signal.aborted) this.prompt();
  }

  /** Ends the conversation, and the answer that is being made. */
  leave(): void {
    this.#answering?.abort();
    this.#left.abort();
  }

  /** Shows that something may be typed. */
  prompt(): void {
    const { isInteractive, terminal } = this.#options;
    if (isInteractive) terminal.write(terminal.style("bold", `${this.#target.name}> `));
  }

  /** Answers one message after the other; resolves to whether all went well. */
  async run(messages: AsyncIterable<string>): Promise<boolean> {
    this.prompt();
    const left = new Promise<undefined>((resolve) =>
      this.left.addEventListener("abort", () => resolve(undefined), { once: true })
    );
    const iterator = messages[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([iterator.next(), left]);
      if (next === undefined || next.done) break;
      this.#isWarned = false;
      await this.#take(next.value);
      if (this.left.aborted) break;
      this.prompt();
    }
    return !this.#hasFailed;
  }

  async #take(text: string): Promise<void> {
    const message = text.trim();
    if (message === "") return;
    if (!this.#options.isInteractive || !message.startsWith("/")) {
      return await this.#answer(message);
    }
    const [, name, argument] = /^\/(\S*)\s*(.*)$/s.exec(message)!;
    try {
      await this.#command(name, argument.trim());
    } catch (thrown) {
      this.#tell(describeError(thrown));
    }
  }

  async #command(name: string, argument: string): Promise<void> {
    if (name === "exit" || name === "quit" || name === "bye") return this.leave();
    if (name === "new") return this.#begin();
    if (name === "model" || name === "agent") return await this.#choose(name, argument);
    if (name !== "help") this.#tell(`There is no command /${name}.`);
    const { terminal } = this.#options;
    for (const line of HELP) terminal.error(terminal.style("dim", line));
  }

  #begin(): void {
    this.#turns = [];
    if (this.#thread !== undefined) {
      this.#tell(`What was said stays in thread ${this.#thread}; from now on nothing is kept.`);
    }
    this.#thread = undefined;
  }

  async #choose(kind: ChatTarget["kind"], name: string): Promise<void> {
    const names = await this.#options.names(kind);
    if (name === "") {
      const there = names.length === 0 ? "none" : names.join(", ");
      return this.#tell(`There are: ${there}. Choose: /${kind} NAME`);
    }
    if (kind === "model" && this.#thread !== undefined) {
      return this.#tell("Threads keep what agents are asked. Leave this one first: /new");
    }
    // Models go by other names, too: whether there is such a one is known when it is asked.
    if (kind === "agent" && !names.includes(name)) {
      return this.#tell(`No node has agent "${name}". There are: ${named(names)}.`);
    }
    this.#target = { kind, name };
  }

  async #answer(message: string): Promise<void> {
    const { ask, terminal, system, node } = this.#options;
    const answering = this.#answering = new AbortController();
    const question = { message, turns: this.#turns, thread: this.#thread, system, node };
    const show = new Shown(terminal, this.#options.isInteractive);
    let answer: string | undefined;
    try {
      for await (const event of ask(this.#target, question, answering.signal)) {
        if (event.type === "answer") answer = event.output;
        show.event(event);
      }
    } catch (thrown) {
      const hasEndedLine = show.end();
      const error = NetworkError.from(thrown);
      this.#hasFailed = true;
      // The terminal shows the key that was pressed.
      if (answering.signal.aborted && this.#options.isInteractive && !hasEndedLine) {
        terminal.error("");
      }
      if (answering.signal.aborted) this.#tell("Stopped.");
      else this.#fail(error);
    } finally {
      this.#answering = undefined;
    }
    // What was not answered was not said.
    if (answer === undefined) return;
    this.#turns.push({ role: "user", content: message }, { role: "assistant", content: answer });
  }

  #fail({ code, message }: NetworkError): void {
    const { terminal } = this.#options;
    if (terminal.json) terminal.value({ error: { code, message } });
    terminal.error(terminal.style("red", `hanzo-network: ${safeLine(message)}`));
  }

  #tell(text: string): void {
    const { terminal } = this.#options;
    terminal.error(terminal.style("dim", safeLine(text)));
  }
}

/** An answer on the terminal, as it is made. */
class Shown {
  readonly #terminal: ChatSessionOptions["terminal"];
  readonly #isInteractive: boolean;
  #text = "";
  #isThinking = false;
  readonly #calls = new CallLabels();

  constructor(terminal: ChatSessionOptions["terminal"], isInteractive: boolean) {
    this.#terminal = terminal;
    this.#isInteractive = isInteractive;
  }

  event(event: ChatEvent): void {
    const terminal = this.#terminal;
    if (terminal.json) return terminal.value(event);
    switch (event.type) {
      case "token":
        if (this.#isThinking) this.#aside("");
        this.#isThinking = false;
        this.#text += event.text;
        return terminal.write(safeText(event.text));
      case "thought":
        if (!this.#isThinking) this.#aside("thinking …");
        this.#isThinking = true;
        return;
      case "tool-call":
        return this.#aside(`${this.#calls.of(event)} ${JSON.stringify(event.arguments)}`);
      case "tool-result":
        return this.#aside(`${this.#calls.of(event)} → ${JSON.stringify(event.result)}`);
      case "agent-call":
        return this.#aside(`asks ${this.#calls.of(event)}: ${event.prompt}`);
      case "agent-result":
        return this.#aside(`${this.#calls.of(event)} has answered on ${event.nodeId}`);
      case "tool-error":
      case "agent-error":
        return this.#aside(`${this.#calls.of(event)} failed: ${event.reason}`);
      case "step":
        return this.#aside(`step ${event.step}: ${event.agent}`);
      case "fallback":
        return this.#aside(`${event.nodeId} failed: ${event.reason}`);
      case "answer":
        if (this.#text === "" && event.output !== "") terminal.write(safeText(event.output));
        this.#text ||= event.output;
        this.end();
        return this.#aside(`${event.from} on ${event.nodeId}`);
    }
  }

  /** What follows stands in a line of its own; returns whether a line was under way. */
  end(): boolean {
    const isInLine = !this.#terminal.json && this.#text !== "" && !this.#text.endsWith("\n");
    if (isInLine) this.#terminal.line();
    this.#text = "";
    return isInLine;
  }

  /** What goes on beside the answer: for people only. */
  #aside(text: string): void {
    if (!this.#isInteractive || text === "") return;
    this.end();
    this.#terminal.error(this.#terminal.style("dim", safeName(safeLine(text), MAX_SHOWN)));
  }
}
