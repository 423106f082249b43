/** Where `join` gets its code from. */

import { systemClock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import { createCommandRunner } from "../device/command.ts";
import { needDirectory } from "../network/data_directory.ts";
import { scanWithCamera } from "../security/camera.ts";
import { scanQr, scanStream } from "../security/scan.ts";
import type { Terminal } from "./terminal.ts";

/** A picture in a file. */
export async function codeFromFile(path: string): Promise<string> {
  try {
    return await scanQr(path);
  } catch (thrown) {
    // A code without its beginning is no name of a file to be shown: it may be the key.
    if (!/[a-z0-9]{40}$/i.test(path.replaceAll(/[\s-]/g, ""))) throw thrown;
    throw new NetworkError(
      "INVALID_ARGUMENT",
      "Cannot use the code: its beginning is missing, or mistyped. It begins with HANZO:1/.",
    );
  }
}

/** A picture or a code on standard input; a person at a terminal is asked for it. */
export async function codeFromStdin(terminal: Terminal, signal: AbortSignal): Promise<string> {
  if (Deno.stdin.isTerminal()) terminal.error("Type or paste the code, and end it with Ctrl-D:");
  const stopped = Promise.withResolvers<never>();
  const onAbort = () => stopped.reject(cancelled());
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    // A read of a terminal cannot be given up; it ends with the process.
    return await Promise.race([scanStream(Deno.stdin.readable), stopped.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function cancelled(): NetworkError {
  return new NetworkError("CANCELLED", "Cancelled.");
}

/**
 * What this machine's camera sees.
 *
 * @param directory The data directory: what is permitted there need not be so elsewhere.
 */
export async function codeFromCamera(
  terminal: Terminal,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  needDirectory(directory, "read", "write");
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  terminal.error("Hold the code in front of the camera …");
  const run = createCommandRunner({ clock: systemClock });
  try {
    return await scanWithCamera({ run, directory, signal });
  } catch (thrown) {
    if (signal.aborted) throw cancelled();
    throw thrown;
  }
}
