/**
 * Folders that exist as long as a test needs them.
 *
 * @module
 */

/**
 * Runs `use` with an empty folder, which is removed afterwards with all that is in it.
 *
 * @param use What to do with the folder's path.
 * @returns What `use` returns.
 */
export async function withTempDir<T>(use: (dir: string) => T | Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: "hanzo-network-test-" });
  try {
    return await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
