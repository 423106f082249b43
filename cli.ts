/**
 * The command line: `deno run -A jsr:@hanzo/network/cli <command>`.
 *
 * @example Start a node, and ask it for what it sees
 * ```sh
 * deno run -A jsr:@hanzo/network/cli up
 * deno run -A jsr:@hanzo/network/cli status
 * ```
 *
 * @module
 */

import { main } from "./src/cli/main.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
