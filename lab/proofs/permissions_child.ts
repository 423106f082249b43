/** A program that makes a node, runs something, and prints what came of it as JSON. */

import { createDistributedNetwork, type NetworkOptions } from "../../mod.ts";
import { recordingLogger } from "../../tests/support/recording_logger.ts";

const options: NetworkOptions = JSON.parse(Deno.args[0]);
const { logger, lines } = recordingLogger();
let outcome: Record<string, unknown>;
try {
  await using network = createDistributedNetwork({
    networkInterfaces: ["lo"],
    listenPort: 0,
    logger,
    ...options,
  });
  await network.start();
  const { output } = await network.run("", { initialAgent: "monitor" });
  outcome = { output, findings: await network.diagnose() };
} catch (thrown) {
  const { code, message } = thrown as { code?: string; message: string };
  outcome = { error: { code, message } };
}
console.log(JSON.stringify({ ...outcome, warnings: [...lines("warn"), ...lines("error")] }));
