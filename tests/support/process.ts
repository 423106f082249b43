/**
 * Real processes in end-to-end tests: started, read line by line, and gone when the test ends.
 *
 * @module
 */

import { deadline } from "./deadline.ts";

/** Options of {@linkcode startProcess}. */
export interface StartOptions {
  /** The folder to start in; the test's own by default. */
  cwd?: string | URL;

  /** Environment variables, besides the test's own. */
  env?: Record<string, string>;
}

/** Options of {@linkcode TestProcess.waitForLine}. */
export interface WaitForLineOptions {
  /** What the line stands for, for the error: `"the ready event"`. */
  what: string;

  /**
   * How long to wait at most.
   *
   * @default {5000}
   */
  timeoutMs?: number;
}

/** A process that a test started. Dispose of it with `await using`. */
export interface TestProcess extends AsyncDisposable {
  /** Its process id. */
  readonly pid: number;

  /** Settles when it has ended. */
  readonly status: Promise<Deno.CommandStatus>;

  /** The lines of its standard output, from the first one on, up to its end. */
  lines(): AsyncIterable<string>;

  /** What it has written to standard error so far. */
  stderrText(): string;

  /**
   * The first line of standard output, from the beginning, for which `predicate` holds.
   *
   * @throws {Error} If there is none in time, or none before the output ends; names what was
   * missing, and shows what the process wrote.
   */
  waitForLine(predicate: (line: string) => boolean, options: WaitForLineOptions): Promise<string>;

  /** Sends a signal, `SIGTERM` by default; does nothing to a process that has ended. */
  kill(signal?: Deno.Signal): void;
}

/** How long a process may take to end by itself after SIGTERM, before it is killed. */
const GRACE_MS = 2000;

/** How long output may stay open after the end of a process whose children still hold it. */
const DRAIN_MS = 500;

/** How many of the last lines an error shows. */
const SHOWN_LINES = 20;

/**
 * Starts a process with nothing on its standard input.
 *
 * @param command The program, `Deno.execPath()` for a Deno program.
 * @param args Its arguments.
 * @param options Where and with which variables.
 * @returns The process, which disposing of ends: by SIGTERM, and by SIGKILL if that is ignored.
 *
 * @example
 * ```ts ignore
 * await using node = startProcess(Deno.execPath(), ["run", "-A", "cli.ts", "up", "--json"]);
 * await node.waitForLine((line) => line.includes('"ready"'), { what: "the ready event" });
 * ```
 */
export function startProcess(
  command: string | URL,
  args: readonly string[],
  options: StartOptions = {},
): TestProcess {
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: options.cwd,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new RunningProcess(child, [command, ...args].join(" "));
}

class RunningProcess implements TestProcess {
  readonly status: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  readonly #name: string;
  readonly #stdout: TextReader;
  readonly #stderr: TextReader;
  #ended: Deno.CommandStatus | undefined;

  constructor(child: Deno.ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    this.#stdout = new TextReader(child.stdout);
    this.#stderr = new TextReader(child.stderr);
    this.status = child.status.then((status) => this.#ended = status);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async *lines(): AsyncGenerator<string, void, void> {
    for (let index = 0; await this.#stdout.hasLine(index); index++) yield this.#stdout.lines[index];
  }

  stderrText(): string {
    return this.#stderr.text;
  }

  async waitForLine(
    predicate: (line: string) => boolean,
    { what, timeoutMs = 5000 }: WaitForLineOptions,
  ): Promise<string> {
    using limit = deadline(timeoutMs);
    for (let index = 0; await limit.race(this.#stdout.hasLine(index)); index++) {
      if (predicate(this.#stdout.lines[index])) return this.#stdout.lines[index];
    }
    const when = limit.passed ? `within ${timeoutMs} ms` : "before its output ended";
    throw new Error(`No line ${when} that is ${what}, from ${this.#describe()}`);
  }

  kill(signal: Deno.Signal = "SIGTERM"): void {
    if (this.#ended !== undefined) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It ended between the question and the signal.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGTERM");
    {
      using grace = deadline(GRACE_MS);
      await grace.race(this.status);
    }
    this.kill("SIGKILL");
    await this.status;
    await Promise.all([this.#stdout.close(), this.#stderr.close()]);
  }

  #describe(): string {
    const ended = this.#ended;
    const state = ended === undefined
      ? "which is still running"
      : `which ended with ${ended.signal ?? `exit code ${ended.code}`}`;
    return [
      `"${this.#name}" (pid ${this.pid}), ${state}.`,
      `Its output:\n${excerpt(this.#stdout.text)}`,
      `Its errors:\n${excerpt(this.#stderr.text)}`,
    ].join("\n");
  }
}

function excerpt(text: string): string {
  const lines = text.trimEnd().split("\n");
  if (lines.length === 1 && lines[0] === "") return "  (nothing)";
  return lines.slice(-SHOWN_LINES).map((line) => `  ${line}`).join("\n");
}

/** Collects a stream of text, so that a process never waits for somebody to read. */
class TextReader {
  readonly lines: string[] = [];
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #finished: Promise<void>;
  #rest = "";
  #ended = false;
  #changed = Promise.withResolvers<void>();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.#finished = this.#readAll();
  }

  get text(): string {
    return [...this.lines, this.#rest].join("\n");
  }

  /** Whether there is a line of that index, as soon as that is known. */
  async hasLine(index: number): Promise<boolean> {
    while (index >= this.lines.length && !this.#ended) await this.#changed.promise;
    return index < this.lines.length;
  }

  async close(): Promise<void> {
    {
      using drain = deadline(DRAIN_MS);
      await drain.race(this.#finished);
    }
    await this.#reader.cancel();
    await this.#finished;
  }

  async #readAll(): Promise<void> {
    const decoder = new TextDecoder();
    while (!this.#ended) {
      const { done, value } = await this.#reader.read();
      const pieces = (this.#rest + decoder.decode(value, { stream: !done })).split(/\r?\n/);
      const last = pieces.pop()!;
      this.#rest = done ? "" : last;
      if (done && last !== "") pieces.push(last);
      this.lines.push(...pieces);
      this.#ended = done;
      this.#changed.resolve();
      if (!done) this.#changed = Promise.withResolvers<void>();
    }
  }
}
