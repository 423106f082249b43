/** Tools that answer as told: a recorded output, an exit code, an error, or never. */

import type { CommandRunner } from "../../src/device/command.ts";
import { NetworkError } from "../../src/base/errors.ts";

/** What a fake tool does when it is run. */
export type Answer = string | { code: number; stdout: string } | NetworkError | "never";

/** Makes a runner of answers by command, or by the whole command line. All else is not installed. */
export function fakeTools(answers: Record<string, Answer>): CommandRunner & { asked: string[] } {
  const asked: string[] = [];
  const run: CommandRunner = (command, args) => {
    const line = [command, ...args].join(" ");
    asked.push(line);
    const answer = answers[line] ?? answers[command] ??
      new NetworkError("NOT_FOUND", `Cannot run ${command}: it is not installed.`);
    if (answer === "never") return new Promise(() => {});
    if (answer instanceof NetworkError) return Promise.reject(answer);
    return Promise.resolve(typeof answer === "string" ? { code: 0, stdout: answer } : answer);
  };
  return Object.assign(run, { asked });
}

/** A recorded output. */
export function fixture(path: string): string {
  return Deno.readTextFileSync(new URL(`./fixtures/${path}`, import.meta.url));
}
