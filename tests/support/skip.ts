/**
 * Tests that need something a machine may lack.
 *
 * @module
 */

/**
 * For `Deno.test`'s `ignore`: skips a test unless a condition holds, and says why, which `ignore`
 * by itself does not.
 *
 * @param condition What the test needs.
 * @param reason What is missing otherwise, and how to get it.
 * @returns Whether to ignore the test.
 *
 * @example
 * ```ts ignore
 * Deno.test({
 *   name: "a Python client runs an agent",
 *   ignore: skipUnless(hasGrpcio, "python3-grpcio is missing: apt-get install python3-grpcio"),
 *   fn: () => …,
 * });
 * ```
 */
export function skipUnless(condition: boolean, reason: string): boolean {
  if (!condition) console.error(`skipped: ${reason}`);
  return !condition;
}
