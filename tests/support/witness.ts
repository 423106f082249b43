/**
 * Sees what others of a machine may see of processes: what they write, how they are called, what is
 * in their environment, what they send, which files they leave behind.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { systemDatagrams } from "../../src/transport/system_datagrams.ts";
import { deadline } from "./deadline.ts";
import { eventually } from "./eventually.ts";
import { type CommandOutcome, programArgs } from "./nodes.ts";

/** Something that somebody may see. */
export interface Sight {
  /** Where it was seen. */
  readonly where: string;
  readonly bytes: Uint8Array;
  /** Secrets that belong there. */
  readonly mayShow: readonly string[];
}

/** How a process is to be started. */
export interface WitnessedOptions {
  /** What it finds on its standard input. */
  readonly stdin?: string;
  /** The secrets that its output is there to show. */
  readonly mayShow?: readonly string[];
  readonly cwd?: string;
}

/** Between two looks at the processes, in milliseconds: a tool lives a few of these. */
const LOOK_MS = 10;

/** How long a command may take, in milliseconds. */
const ENDED_MS = 20_000;

/** See the top of the file. Processes are ended with it. */
export class Witness implements AsyncDisposable {
  readonly #directory: string;
  readonly #sights = new Map<string, Sight>();
  readonly #running = new Set<Witnessed>();
  readonly #looks: ReturnType<typeof setInterval>;
  readonly #typed: string[] = [];
  #closeSocket = () => {};

  /** @param directory Where processes find room for what they need for a moment. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#looks = setInterval(() => this.look(), LOOK_MS);
  }

  /** All that was seen so far, each thing once. */
  sights(): Sight[] {
    return [...this.#sights.values(), ...[...this.#running].flatMap((one) => one.sights())];
  }

  /** The places that were seen, to know that it was not blind. */
  places(): Set<string> {
    return new Set(this.sights().map(({ where }) => where));
  }

  /** Takes down what was seen. */
  note(where: string, what: Uint8Array | string, mayShow: readonly string[] = []): void {
    const bytes = typeof what === "string" ? Buffer.from(what) : what;
    const key = `${where} ${Buffer.from(bytes).toString("latin1")}`;
    if (!this.#sights.has(key)) this.#sights.set(key, { where, bytes, mayShow });
  }

  /** What the test itself puts on a command line is not held against who was called so. */
  typed(text: string): string {
    this.#typed.push(text);
    return text;
  }

  /** Starts this program with these arguments. */
  start(args: readonly string[], options: WitnessedOptions = {}): Witnessed {
    const name = args.find((arg) => !arg.startsWith("-")) ?? "program";
    // A picture of the memory is no output: none is taken.
    const command = [
      "-c",
      'ulimit -c 0; exec "$@"',
      "sh",
      Deno.execPath(),
      ...programArgs(...args),
    ];
    const child = new Deno.Command("sh", {
      args: command,
      cwd: options.cwd,
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", TMPDIR: this.#directory },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const process = new Witnessed(name, child, options);
    this.#running.add(process);
    return process;
  }

  /** Runs a command of this program to its end. */
  async run(args: readonly string[], options: WitnessedOptions = {}): Promise<CommandOutcome> {
    const { code, stdout, stderr } = await this.start(args, options).ended();
    return { code, stdout, stderr };
  }

  /** Listens to what nodes of this machine shout. */
  async listen(port: number): Promise<void> {
    const socket = await systemDatagrams().bind(
      { host: "0.0.0.0", port },
      { shared: true },
      (bytes) => this.note("the wire", bytes.slice()),
    );
    this.#closeSocket = () => socket.close();
  }

  /** Looks at the processes that descend from this one. */
  look(): void {
    for (const pid of descendants(Deno.pid)) {
      for (const file of ["cmdline", "environ", "comm"]) {
        const bytes = read(`/proc/${pid}/${file}`);
        if (bytes === undefined || bytes.length === 0) continue;
        const text = this.#typed.reduce(
          (text, typed) => text.replaceAll(typed, ""),
          Buffer.from(bytes).toString("latin1"),
        );
        this.note(`/proc/PID/${file}`, Buffer.from(text, "latin1"));
      }
    }
  }

  /** Takes down every file of a directory; `mayHold` says which secrets belong into it. */
  async noteFiles(
    directory: string,
    mayHold: (path: string) => readonly string[],
  ): Promise<void> {
    for await (const { name, isDirectory, isFile } of Deno.readDir(directory)) {
      const path = `${directory}/${name}`;
      this.note("the name of a file", name);
      if (isDirectory) await this.noteFiles(path, mayHold);
      else if (isFile) this.note(path, await Deno.readFile(path), mayHold(path));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#looks);
    this.#closeSocket();
    await Promise.all([...this.#running].map((one) => one[Symbol.asyncDispose]()));
  }
}

/** A process whose output is kept byte by byte. */
export class Witnessed implements AsyncDisposable {
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #mayShow: readonly string[];
  readonly #stdout: Uint8Array[] = [];
  readonly #stderr: Uint8Array[] = [];
  readonly #over: Promise<unknown>;

  constructor(name: string, child: Deno.ChildProcess, options: WitnessedOptions) {
    this.#name = name;
    this.#child = child;
    this.#mayShow = options.mayShow ?? [];
    this.#over = Promise.all([
      keep(child.stdout, this.#stdout),
      keep(child.stderr, this.#stderr),
      write(child.stdin, options.stdin ?? ""),
      child.status,
    ]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** What it has written so far. */
  get output(): { stdout: string; stderr: string } {
    return { stdout: textOf(this.#stdout), stderr: textOf(this.#stderr) };
  }

  sights(): Sight[] {
    const [name, mayShow] = [this.#name, this.#mayShow];
    return [
      { where: `stdout of ${name}`, bytes: Buffer.concat(this.#stdout), mayShow },
      { where: `stderr of ${name}`, bytes: Buffer.concat(this.#stderr), mayShow },
    ];
  }

  /** Waits until it has written something. */
  async until(text: string, timeoutMs = 15_000): Promise<void> {
    const what = `${JSON.stringify(text)} from ${this.#name}`;
    const all = () => this.output.stdout + this.output.stderr;
    try {
      await eventually(() => all().includes(text), { what, timeoutMs });
    } catch (cause) {
      throw new Error(`It wrote ${all()}`, { cause });
    }
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /** Waits for its end. */
  async ended(): Promise<CommandOutcome> {
    using limit = deadline(ENDED_MS);
    await limit.race(this.#over);
    if (limit.passed) throw new Error(`${this.#name} did not end: ${JSON.stringify(this.output)}`);
    return { code: (await this.#child.status).code, ...this.output };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.#over;
  }
}

async function keep(stream: ReadableStream<Uint8Array>, pieces: Uint8Array[]): Promise<void> {
  for await (const piece of stream) pieces.push(piece);
}

async function write(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stream.getWriter();
  // Who needs none of it may have ended before.
  await writer.write(new TextEncoder().encode(text)).catch(() => {});
  await writer.close().catch(() => {});
}

function textOf(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString("utf8");
}

/** All processes below one. */
function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // `pid (name) state ppid`, and the name may be anything.
    const stat = new TextDecoder().decode(read(`/proc/${name}/stat`));
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 1).split(" ")[2]);
    children.set(parent, [...children.get(parent) ?? [], Number(name)]);
  }
  const below = (pid: number): number[] =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}

/** Undefined for a process that is gone. */
function read(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch {
    return undefined;
  }
}
