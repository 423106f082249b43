/** Prints a code for another device to scan. */

import type { JoinQr } from "./join_qr.ts";

/** How a code is printed. */
export interface PrintQrOptions {
  /** Takes each line. By default the console. */
  print?: (line: string) => void;
}

/**
 * Prints a code to the terminal, in black on white where that shows colours.
 *
 * @example
 * ```ts ignore
 * import { createDistributedNetwork, printQr } from "@hanzo/network";
 *
 * await using network = createDistributedNetwork();
 * await network.start();
 * printQr(await network.generateJoinQr());
 * ```
 */
export function printQr(
  qr: JoinQr,
  { print = (line) => console.log(line) }: PrintQrOptions = {},
): void {
  const colours = Deno.stdout.isTerminal() && !Deno.noColor;
  for (const line of qr.terminal({ colours })) print(line);
}
