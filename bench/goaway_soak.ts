/**
 * How often a GOAWAY ends a process, with the guard of `src/link/goaway_guard.ts` and without.
 *
 *     deno run -A bench/goaway_soak.ts [RUNS] [poison]
 *
 * Each run is a process of its own: a gRPC client that lives through 15 connections, or, in the
 * mode `server`, a server that ten clients of each rude kind part from. `poison` fills freed memory
 * (glibc only), so that a use after it shows at once. Prints a line of JSON for each mode, guarded
 * and bare in turns, so that both have the same machine.
 */

import {
  type Guarding,
  POISON,
  runClient,
  startPythonServer,
  startServer,
} from "../tests/link/goaway/children.ts";
import { findPythonWithGrpc } from "../tests/support/python.ts";
import { partRudely } from "../tests/link/goaway/rude_client.ts";
import { RUDENESSES, startRudeServer } from "../tests/link/goaway/rude_server.ts";

const CONNECTIONS = 15;
const SEED = 36788;

const runs = Number(Deno.args[0] ?? 10);
const env = Deno.args[1] === "poison" ? POISON : {};

/** How a process ended: it lived, it crashed, or it had to be ended because it made no headway. */
type Ending = "alive" | "crashed" | "hung";

/** One run by number. */
type Run = (guarding: Guarding, index: number) => Promise<Ending>;

const modes: [mode: string, run: Run][] = [
  ...(["tryShutdown", "forceShutdown", "maxAge"] as const).map((manner): [string, Run] => [
    manner,
    async (guarding) => {
      await using server = await startServer("guarded", manner, {});
      return await clientRun(guarding, server.port);
    },
  ]),
  ...RUDENESSES.map((way): [string, Run] => [
    way,
    async (guarding, index) => {
      await using server = startRudeServer([way], SEED + index);
      return await clientRun(guarding, server.port);
    },
  ]),
  ["server", async (guarding, index) => {
    await using server = await startServer(guarding, "plain", env);
    let ended = false;
    void server.process.status.then(() => ended = true);
    await partRudely(server.port, 10, SEED + index);
    return ended ? "crashed" : "alive";
  }],
];

const python = await findPythonWithGrpc();
if (python === undefined) {
  console.error("skipped: python, for want of grpcio: apt-get install python3-grpcio");
} else {
  modes.unshift(["python", async (guarding) => {
    await using server = await startPythonServer(python);
    return await clientRun(guarding, server.port);
  }]);
}

for (const [mode, run] of modes) {
  const counts = {
    guarded: { alive: 0, crashed: 0, hung: 0 },
    bare: { alive: 0, crashed: 0, hung: 0 },
  };
  for (let index = 0; index < runs; index++) {
    for (const guarding of ["guarded", "bare"] as const) {
      counts[guarding][await run(guarding, index)]++;
    }
  }
  for (const guarding of ["guarded", "bare"] as const) {
    const { crashed, hung } = counts[guarding];
    console.log(
      JSON.stringify({ mode, guard: guarding === "guarded", runs, crashes: crashed, hangs: hung }),
    );
  }
}

async function clientRun(guarding: Guarding, port: number): Promise<Ending> {
  const { exitCode } = await runClient(guarding, port, CONNECTIONS, env);
  // A client that makes no headway ends itself with 3, or is killed when it spins (137).
  return exitCode === 0 ? "alive" : exitCode === 3 || exitCode === 137 ? "hung" : "crashed";
}
