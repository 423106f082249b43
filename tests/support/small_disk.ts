/**
 * A disk that is soon full.
 *
 * @module
 */

import { withTempDir } from "./temp.ts";

/** Why no disk can be mounted here; undefined when one can. */
export function cannotMount(): string | undefined {
  if (Deno.build.os !== "linux") return "this is not Linux";
  return Deno.uid() === 0 ? undefined : "only root may mount one";
}

/**
 * Runs `use` with an empty disk of that many KiB, which is gone afterwards.
 *
 * @param sizeKib How much fits on it, folders included, in KiB.
 * @param use What to do with its path.
 */
export async function withSmallDisk(
  sizeKib: number,
  use: (path: string) => Promise<void>,
): Promise<void> {
  await withTempDir(async (directory) => {
    await run("mount", "-t", "tmpfs", "-o", `size=${sizeKib}k`, "tmpfs", directory);
    try {
      await use(directory);
    } finally {
      await run("umount", directory);
    }
  });
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  if (success) return;
  throw new Error(`${command} ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
}
