/**
 * A program that is a device of your network itself, and looks after the others:
 * `deno run -A examples/home_monitor.ts`, once your devices run `deno run -A cli.ts up`, or with a
 * number of minutes to do so again and again. It asks the agent `monitor` of every device how it is,
 * keeps alerts in the state that all devices share (`deno run -A cli.ts state list alerts/`), and has
 * a model say in a sentence how things are, when a device has one.
 */

import { createDistributedNetwork, type DistributedNetwork } from "@hanzo/network";

interface Figures {
  memoryUsed: number | null;
  memoryTotal: number | null;
  diskFree: number | null;
  diskTotal: number | null;
}

const share = (part: number | null, total: number | null) =>
  part === null || !total ? undefined : part / total;

/** What is wrong with a device; undefined when all is well. */
function alertOf({ memoryUsed, memoryTotal, diskFree, diskTotal }: Figures): string | undefined {
  if ((share(memoryUsed, memoryTotal) ?? 0) > 0.95) return "its memory is full";
  if ((share(diskFree, diskTotal) ?? 1) < 0.05) return "its disk is full";
}

/** Looks at all devices once, and returns a line for each and what is to be said of them. */
export async function lookAround(network: DistributedNetwork): Promise<string[]> {
  const outcomes = await network.runAll("", { initialAgent: "monitor", timeoutMs: 30_000 });
  const lines: string[] = [];
  for (const outcome of outcomes) {
    const { nodeId } = outcome;
    const key = `alerts/${nodeId}`;
    const alert = "error" in outcome
      ? `it does not answer: ${outcome.error.message}`
      : alertOf((outcome.result.data as unknown as { figures: Figures }).figures);
    const known = network.state.get(key) as { problem: string } | undefined;
    if (alert === undefined) await network.state.delete(key);
    else if (known?.problem !== alert) {
      await network.state.set(key, { problem: alert, since: new Date().toISOString() });
    }
    const now = "error" in outcome ? "no answer" : outcome.result.output;
    lines.push(`${nodeId}: ${now}${alert === undefined ? "" : `. ALERT: ${alert}`}`);
  }
  if (network.models().length > 0) {
    const prompt = "How are my devices? Answer in one sentence, without any tools.";
    const options = { initialAgent: "assistant", context: lines.join("\n") };
    // Without it the lines say it all.
    const answer = await network.run(prompt, options).catch(() => undefined);
    if (answer !== undefined) lines.push("", answer.output);
  }
  return lines;
}

if (import.meta.main) {
  const minutes = Number(Deno.args[0] ?? 0);
  await using network = createDistributedNetwork({ nodeId: "home-monitor" });
  await network.start({ waitForPeers: 1 });
  do {
    console.log((await lookAround(network)).join("\n"));
    await new Promise((resolve) => setTimeout(resolve, minutes * 60_000));
  } while (minutes > 0);
}
