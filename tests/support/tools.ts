/** Commands that are there, whatever this machine has. */

import { withTempDir } from "./temp.ts";

/**
 * Runs `use` with a `PATH` on which there are commands of these names before all others; each ends
 * with the exit code 1.
 *
 * @param names What they are called.
 * @param use What to do; given the value for `PATH`.
 */
export async function withTools<T>(
  names: readonly string[],
  use: (path: string) => T | Promise<T>,
): Promise<T> {
  return await withTempDir(async (directory) => {
    for (const name of names) {
      await Deno.writeTextFile(`${directory}/${name}`, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    }
    return await use(`${directory}:${Deno.env.get("PATH")}`);
  });
}
