/** A started MCP server: messages as lines on its standard input and output, and its end. */

import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client";
import { parseBoundedJson } from "../../base/bounded_json.ts";
import { type Clock, doneWithin } from "../../base/clock.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { needGranted } from "../../base/permissions.ts";
import { safeName } from "../../base/safe_text.ts";
import { boundedLines } from "./bounded_lines.ts";
import { environmentOf, type McpCommand } from "./server_options.ts";

/** A message of more bytes than this ends the server. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** Nested deeper, whatever walks a message might overflow the stack. */
const MAX_DEPTH = 64;
/** Lines that are no messages, before it is taken for what it is: no server. */
const MAX_GARBAGE = 1_000;
/** Characters of a line of stderr, and lines of it that the log gets of one process. */
const MAX_SAID = 500;
const MAX_SAID_LINES = 1_000;
/** How long it may take to end when its input has ended, and again after SIGTERM. */
const END_PATIENCE_MS = 2_000;
/** How long its output is read after its end: something that it has started may hold it open. */
const OUTPUT_PATIENCE_MS = 500;

/** What a {@linkcode ProcessTransport} is made of. */
export interface ProcessTransportOptions {
  readonly name: string;
  readonly server: McpCommand;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Reads a message; throws when it is none. */
  readonly parse: (value: unknown) => JSONRPCMessage;
}

/** See the top of the file. */
export class ProcessTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #options: ProcessTransportOptions;
  readonly #encoder = new TextEncoder();
  #child: Deno.ChildProcess | undefined;
  #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> | undefined;
  #garbage = 0;
  #lastSaid = "";
  #exit: Deno.CommandStatus | undefined;
  /** Whether it was told to end before it did. */
  #isTold = false;
  #over: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ProcessTransportOptions) {
    this.#options = options;
  }

  /** The process, while there is one. */
  get pid(): number | undefined {
    return this.#exit === undefined ? this.#child?.pid : undefined;
  }

  /** Starts the process. */
  // deno-lint-ignore require-await -- what is wrong rejects
  async start(): Promise<void> {
    const { name, server } = this.#options;
    const action = `Cannot start MCP server "${name}"`;
    needGranted(action, { name: "run", command: server.command });
    const env = environmentOf(server.env, action);
    try {
      this.#child = new Deno.Command(server.command, {
        args: [...server.args ?? []],
        env,
        clearEnv: true,
        cwd: server.cwd,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (cause) {
      throw new NetworkError(
        "UNAVAILABLE",
        `${action}: ${describeError(cause)}. Is ${JSON.stringify(server.command)} installed on ` +
          "this device?",
        { cause },
      );
    }
    this.#input = this.#child.stdin.getWriter();
    this.#over = this.#watch(this.#child);
  }

  /** Resolves when the pipe takes more. */
  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#input === undefined || this.#exit !== undefined || this.#closing !== undefined) {
      throw new Error("the server has ended");
    }
    await this.#input.write(this.#encoder.encode(`${JSON.stringify(message)}\n`));
  }

  /** Ends the process: by the end of its input, then SIGTERM, then SIGKILL. Idempotent. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** How it ended by itself, and what it said last: ` It ended with exit code 1. It said: "…".`. */
  obituary(): string {
    const exit = this.#exit;
    const how = exit === undefined || this.#isTold && (exit.success || exit.signal !== null)
      ? ""
      : ` It ended with ${exit.signal ?? `exit code ${exit.code}`}.`;
    return this.#lastSaid === "" ? how : `${how} It said: ${JSON.stringify(this.#lastSaid)}.`;
  }

  async #close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return this.onclose?.();
    this.#isTold = this.#exit === undefined;
    const { clock } = this.#options;
    // Not waited for: who reads nothing keeps it from ending.
    this.#input?.close().catch(() => {});
    const ended = () => doneWithin(clock, END_PATIENCE_MS, child.status);
    if (!await ended()) {
      kill(child, "SIGTERM");
      if (!await ended()) kill(child, "SIGKILL");
    }
    await this.#over;
  }

  async #watch(child: Deno.ChildProcess): Promise<void> {
    const output = this.#read(child.stdout);
    const errors = this.#log(child.stderr);
    this.#exit = await child.status;
    this.#input?.close().catch(() => {});
    const { clock } = this.#options;
    const read = Promise.all([output.done, errors.done]);
    if (!await doneWithin(clock, OUTPUT_PATIENCE_MS, read)) {
      await Promise.all([output.stop(), errors.stop()]);
    }
    this.onclose?.();
  }

  /** Takes messages until the output ends, or is none. */
  #read(stdout: ReadableStream<Uint8Array>): Reading {
    return reading(stdout, { maxBytes: MAX_MESSAGE_BYTES }, (line) => this.#take(line), (why) => {
      if (this.#exit === undefined && why !== undefined) this.#giveUp(why);
      // Who closes its output and goes on is no use to anybody.
      else void this.close();
    });
  }

  #take(line: Uint8Array): void {
    if (line.every((byte) => byte === 13 || byte === 32)) return;
    let message: JSONRPCMessage;
    try {
      const bounds = { maxBytes: MAX_MESSAGE_BYTES, maxDepth: MAX_DEPTH };
      message = this.#options.parse(parseBoundedJson(line, bounds));
    } catch {
      this.#garbage++;
      if (this.#garbage === 1) {
        const said = safeName(new TextDecoder().decode(line.subarray(0, 400)), 200);
        this.#options.logger.warn(
          'MCP server "{name}" wrote what is no message, to its standard output: {said}',
          { name: this.#options.name, said },
        );
      }
      if (this.#garbage > MAX_GARBAGE) throw new RangeError("more than 1,000 lines of no message");
      return;
    }
    this.onmessage?.(message);
  }

  #giveUp(why: unknown): void {
    const { name, logger } = this.#options;
    const reason = describeError(why);
    this.#lastSaid = reason;
    logger.warn('MCP server "{name}" is ended: it wrote {reason}', { name, reason });
    this.onerror?.(new Error(reason, { cause: why }));
    // It may not read any more either.
    if (this.#child !== undefined) kill(this.#child, "SIGTERM");
    void this.close();
  }

  /** What it says for people, for the log. */
  #log(stderr: ReadableStream<Uint8Array>): Reading {
    const { name, logger } = this.#options;
    const decoder = new TextDecoder();
    let lines = 0;
    return reading(stderr, { maxBytes: MAX_SAID * 4, cuts: true }, (line) => {
      const said = safeName(decoder.decode(line), MAX_SAID);
      if (said === "") return;
      this.#lastSaid = said;
      lines++;
      if (lines <= MAX_SAID_LINES) logger.debug('MCP server "{name}": {said}', { name, said });
      if (lines === MAX_SAID_LINES) logger.debug('MCP server "{name}" says more', { name });
    });
  }
}

/** A stream that is being read. */
interface Reading {
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

function reading(
  stream: ReadableStream<Uint8Array>,
  bounds: Parameters<typeof boundedLines>[1],
  take: (line: Uint8Array) => void,
  ended: (why?: unknown) => void = () => {},
): Reading {
  // A stream in between can be stopped while it is being read.
  const stopping = new AbortController();
  const piped = new TransformStream<Uint8Array, Uint8Array>();
  const piping = stream.pipeTo(piped.writable, { signal: stopping.signal }).catch(() => {});
  const done = (async () => {
    try {
      for await (const line of boundedLines(piped.readable, bounds)) take(line);
      ended();
    } catch (why) {
      stopping.abort();
      ended(stopping.signal.reason === STOPPED ? undefined : why);
    }
    await piping;
  })();
  return {
    done,
    stop: async () => {
      stopping.abort(STOPPED);
      await done;
    },
  };
}

const STOPPED = new Error("stopped");

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended.
  }
}
