/** Where `join` gets its code from. */

import { systemClock } from "../base/clock.ts";
import { createCommandRunner } from "../device/command.ts";
import { scanWithCamera } from "../security/camera.ts";
import { scanQr, scanStream } from "../security/scan.ts";
import type { Terminal } from "./terminal.ts";

/** A picture in a file. */
export function codeFromFile(path: string): Promise<string> {
  return scanQr(path);
}

/** A picture or a code on standard input; a person at a terminal is asked for it. */
export async function codeFromStdin(terminal: Terminal): Promise<string> {
  if (Deno.stdin.isTerminal()) terminal.error("Type or paste the code, and end it with Ctrl-D:");
  return await scanStream(Deno.stdin.readable);
}

/** What this machine's camera sees. */
export async function codeFromCamera(terminal: Terminal, signal: AbortSignal): Promise<string> {
  terminal.error("Hold the code in front of the camera …");
  return await scanWithCamera({ run: createCommandRunner({ clock: systemClock }), signal });
}
