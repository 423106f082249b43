/** Running a system's tools: the port that every probe takes, and the real one on Deno.Command. */

import { type Clock, systemClock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { isGranted } from "../base/permissions.ts";

/** How a command is to be run. */
export interface CommandOptions {
  /** When it is killed, in milliseconds from its start. */
  timeoutMs: number;
  /** Kills it earlier. */
  signal?: AbortSignal;
  /** What its environment must have besides what every command gets. */
  env?: Readonly<Record<string, string>>;
}

/** What a command that ended left. */
export interface CommandResult {
  /** Its exit code. */
  code: number;
  /** What it printed, as UTF-8; what is not becomes U+FFFD. */
  stdout: string;
}

/**
 * Runs a command without a shell and waits for its end.
 *
 * Rejects with a {@linkcode NetworkError}: `NOT_FOUND` when there is no such command,
 * `PERMISSION_DENIED` when this program may not run it, `DEADLINE_EXCEEDED` when it took too
 * long, `RESOURCE_EXHAUSTED` when it printed too much, `CANCELLED` when the signal aborted.
 */
export type CommandRunner = (
  command: string,
  args: readonly string[],
  options: CommandOptions,
) => Promise<CommandResult>;

/** What {@linkcode createCommandRunner} takes. */
export interface CommandRunnerOptions {
  /** Keeps the time. @default {systemClock} */
  clock?: Clock;
  /**
   * Bytes of output at most. The longest that a probe reads, `system_profiler`'s, has about 10 KB.
   *
   * @default {1048576}
   */
  maxOutputBytes?: number;
}

// A killed process that hangs in the kernel (a wedged GPU driver) never ends; it is left behind
// after this long, so that it holds up nobody.
const KILL_GRACE_MS = 100;

// What tools need to find themselves, their libraries and their language; nothing else, so that
// secrets in this program's environment stay there.
const PASSED_ON = [
  "PATH",
  "HOME",
  "PATHEXT",
  "SystemRoot",
  "SystemDrive",
  "windir",
  "ComSpec",
  "TEMP",
  "USERPROFILE",
  "ProgramFiles",
  "ProgramData",
];
// Containers put NVIDIA's library on this path. Deno lets a child have it only with an
// unrestricted --allow-run.
const LIBRARY_PATH = "LD_LIBRARY_PATH";

/** Makes a {@linkcode CommandRunner} on `Deno.Command`. It never asks for a permission. */
export function createCommandRunner(options: CommandRunnerOptions = {}): CommandRunner {
  const { clock = systemClock, maxOutputBytes = 1024 * 1024 } = options;
  let environment: Record<string, string> | undefined;

  return async (command, args, { timeoutMs, signal, env: besides }) => {
    checkPermission(command);
    const env = environment ??= readEnvironment();
    if (signal?.aborted) throw cancelled(command);
    const child = spawn(command, args, { ...env, ...besides });
    const reader = child.stdout.getReader();
    const stopped = Promise.withResolvers<never>();
    const cancelTimer = clock.after(timeoutMs, () => {
      stopped.reject(
        new NetworkError(
          "DEADLINE_EXCEEDED",
          `Cannot use ${command}: it did not end within ${timeoutMs} ms. Try it by hand.`,
        ),
      );
    });
    const onAbort = () => stopped.reject(cancelled(command));
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const finished = Promise.all([child.status, readAll(reader, command, maxOutputBytes)]);
      const [{ code }, stdout] = await Promise.race([finished, stopped.promise]);
      return { code, stdout };
    } catch (error) {
      await stop(child, reader, clock);
      throw error;
    } finally {
      cancelTimer();
      signal?.removeEventListener("abort", onAbort);
    }
  };
}

/** The system's tools, each with the bounds of {@linkcode CommandRunnerOptions}' defaults. */
export const runCommand: CommandRunner = createCommandRunner();

/** Whether this program may run a command, as far as that can be told of one that is not there. */
export function mayRun(command: string): boolean {
  return isGranted({ name: "run", command }) || !isInstalled(command);
}

function checkPermission(command: string): void {
  if (isGranted({ name: "run", command })) return;
  throw isInstalled(command) ? notAllowed(command) : notInstalled(command);
}

/**
 * Whether a command that may not be run is there. Of one that is not, Deno says that it is not
 * granted, even where it is. So a start is tried that must fail: who may not run everything may not
 * choose a command's libraries, which Deno (2.9.6) looks at when it has found the command, and
 * before it would ask anybody for the permission.
 */
function isInstalled(command: string): boolean {
  try {
    const env = { [LIBRARY_PATH]: "/" };
    const options = { env, clearEnv: true, stdin: "null", stdout: "null", stderr: "null" } as const;
    new Deno.Command(command, { ...options, args: ["--version"] }).spawn().unref();
    return true;
  } catch (thrown) {
    return !(thrown instanceof Deno.errors.NotFound);
  }
}

function readEnvironment(): Record<string, string> {
  const names = isGranted({ name: "run" }) ? [...PASSED_ON, LIBRARY_PATH] : PASSED_ON;
  const env: Record<string, string> = { LC_ALL: "C" };
  for (const variable of names) {
    const value = isGranted({ name: "env", variable }) ? Deno.env.get(variable) : undefined;
    if (value !== undefined) env[variable] = value;
  }
  return env;
}

function spawn(
  command: string,
  args: readonly string[],
  env: Record<string, string>,
): Deno.ChildProcess {
  try {
    return new Deno.Command(command, {
      args: [...args],
      env,
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) throw notInstalled(command, cause);
    if (cause instanceof Deno.errors.NotCapable) throw notAllowed(command, cause);
    throw new NetworkError("UNAVAILABLE", `Cannot run ${command}: ${describeError(cause)}.`, {
      cause,
    });
  }
}

async function readAll(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  command: string,
  maxBytes: number,
): Promise<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.length;
    if (bytes > maxBytes) {
      throw new NetworkError(
        "RESOURCE_EXHAUSTED",
        `Cannot use ${command}: it printed more than ${maxBytes} bytes. Try it by hand.`,
      );
    }
    text += decoder.decode(value, { stream: true });
  }
}

async function stop(
  child: Deno.ChildProcess,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  clock: Clock,
): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended by itself.
  }
  const grace = Promise.withResolvers<"over">();
  const cancelTimer = clock.after(KILL_GRACE_MS, () => grace.resolve("over"));
  const outcome = await Promise.race([child.status, grace.promise]);
  cancelTimer();
  if (outcome === "over") child.unref();
  await reader.cancel().catch(() => {});
}

function notInstalled(command: string, cause?: unknown): NetworkError {
  return new NetworkError(
    "NOT_FOUND",
    `Cannot run ${command}: it is not installed, or not on the PATH.`,
    { cause },
  );
}

function notAllowed(command: string, cause?: unknown): NetworkError {
  return new NetworkError(
    "PERMISSION_DENIED",
    `Cannot run ${command}: not allowed. Grant it with --allow-run=${command}.`,
    { cause },
  );
}

function cancelled(command: string): NetworkError {
  return new NetworkError("CANCELLED", `Cannot use ${command}: the caller gave up.`);
}
