/** Starts the programs of this folder, for the test and for the soak run. */

import { fileURLToPath } from "node:url";
import { startProcess, type TestProcess } from "../../support/process.ts";

/** How a server of grpc-js parts from its clients; `plain` does not. */
export type Manner = "plain" | "tryShutdown" | "forceShutdown" | "maxAge";

/** Whether a child has the guard. */
export type Guarding = "guarded" | "bare";

/**
 * glibc fills what is freed with this, so that a use after it crashes at once instead of now and
 * then; elsewhere it does nothing.
 */
export const POISON = { MALLOC_PERTURB_: "165" };

/** A server in a child process. */
export interface Server extends AsyncDisposable {
  readonly process: TestProcess;
  readonly port: number;
}

/** Starts a server of grpc-js. */
export function startServer(
  guarding: Guarding,
  manner: Manner,
  env: Record<string, string> = POISON,
): Promise<Server> {
  const path = program("server.ts");
  return listening(startProcess(Deno.execPath(), ["run", "-A", path, guarding, manner], { env }));
}

/** Starts the server of Python's grpcio. */
export function startPythonServer(python: string): Promise<Server> {
  return listening(startProcess(python, [program("python_server.py")]));
}

async function listening(process: TestProcess): Promise<Server> {
  const line = await process.waitForLine((line) => /^\d+$/.test(line), {
    what: "a port",
    timeoutMs: 20_000,
  });
  return {
    process,
    port: Number(line),
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}

/** How a client's process ended. */
export interface ClientOutcome {
  /** 0; 139 or 134 after a crash, 3 when calls hung, 143 when it had to be ended. */
  readonly exitCode: number;
  /** How many calls ended with each status code of gRPC. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly stderr: string;
}

/** Runs a client until it has lived through that many connections. */
export async function runClient(
  guarding: Guarding,
  port: number,
  connections: number,
  env: Record<string, string> = POISON,
): Promise<ClientOutcome> {
  const args = ["run", "-A", program("client.ts"), guarding, `${port}`, `${connections}`];
  await using client = startProcess(Deno.execPath(), args, { env });
  // A client that spins does not come to its own timeout.
  const spinning = setTimeout(() => client.kill("SIGKILL"), 20_000);
  const { code } = await client.status;
  clearTimeout(spinning);
  const lines = await Array.fromAsync(client.lines());
  return {
    exitCode: code,
    statuses: code === 0 ? JSON.parse(lines.at(-1) ?? "{}") : {},
    stderr: client.stderrText(),
  };
}

function program(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
