/**
 * Commands of this program in the process of a test: a hundred of them take no longer than one as a
 * process of its own.
 *
 * @module
 */

import { main } from "../../src/cli/main.ts";
import type { CommandOutcome } from "./nodes.ts";

/** What is put in place of a property while something runs. */
type Stand<T> = { [K in keyof T]?: T[K] };

/**
 * Runs one command. Not two at a time: they would write to the same place.
 *
 * @param args What follows the program's name.
 * @param stdin What it finds on its standard input.
 */
export async function commandLine(
  args: readonly string[],
  stdin: string | Uint8Array<ArrayBuffer> = "",
): Promise<CommandOutcome> {
  const [stdout, stderr] = [new Output(), new Output()];
  const bytes = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
  using stack = new DisposableStack();
  const stand = <T extends object>(target: T, values: Stand<T>) =>
    stack.defer(replaced(target, values));
  stand(Deno.stdout, { writeSync: (text) => stdout.write(text), isTerminal: () => false });
  stand(Deno.stderr, { writeSync: (text) => stderr.write(text), isTerminal: () => false });
  stand(Deno.stdin, { readable: ReadableStream.from([bytes]), isTerminal: () => false });
  stand(console, { log: (text) => stdout.line(text), error: (text) => stderr.line(text) });
  const code = await main(args);
  return { code, stdout: stdout.text, stderr: stderr.text };
}

class Output {
  readonly #decoder = new TextDecoder();
  text = "";

  write(bytes: Uint8Array): number {
    this.text += this.#decoder.decode(bytes, { stream: true });
    return bytes.length;
  }

  line(text: unknown): void {
    this.text += `${text}\n`;
  }
}

/** Puts values in the place of others; the result puts these back. */
function replaced<T extends object>(target: T, values: Stand<T>): () => void {
  const names = Object.keys(values);
  const before = names.map((name) => Object.getOwnPropertyDescriptor(target, name));
  for (const name of names) {
    const value = values[name as keyof T];
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
  }
  return () => {
    for (const [i, name] of names.entries()) {
      const descriptor = before[i];
      if (descriptor === undefined) delete target[name as keyof T];
      else Object.defineProperty(target, name, descriptor);
    }
  };
}
