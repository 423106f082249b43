/** `doctor`: why a peer is not seen. */

import { describeError, NetworkError } from "../../base/errors.ts";
import { safeLine } from "../../base/safe_text.ts";
import { hostFindings } from "../../network/diagnosis.ts";
import type { Finding, Severity } from "../../network/diagnosis_facts.ts";
import { DEFAULT_BROADCAST_PORT, leavesMachine } from "../../network/options.ts";
import type { NetworkInterface } from "../../transport/interfaces.ts";
import { systemDatagrams } from "../../transport/system_datagrams.ts";
import {
  type Command,
  type Invocation,
  NODE_OPTIONS,
  type OptionValues,
  UsageError,
} from "../command.ts";
import { findNode, type NodeClient } from "../node_client.ts";
import type { Terminal } from "../terminal.ts";
import { openTo, UP_OPTIONS } from "./up_options.ts";

const SIGNS: Record<Severity, [sign: string, style: "red" | "yellow" | "dim" | "green"]> = {
  error: ["✗", "red"],
  warning: ["!", "yellow"],
  info: ["·", "dim"],
  ok: ["✓", "green"],
};

/** What of `up` says where a node that does not run yet would look for peers. */
const START_OPTIONS: readonly string[] = ["broadcast-port", "network-interface", "open"];

export const command: Command = {
  positionals: "[PEER]",
  summary: "Find out why a peer is not seen",
  options: [
    ...NODE_OPTIONS,
    ...UP_OPTIONS.filter(({ name }) => START_OPTIONS.includes(name)),
  ],
  example: "hanzo-network doctor gpu-server",
  async run({ positionals: [peer, ...rest], options, terminal, signal }: Invocation) {
    if (rest.length > 0) throw new UsageError("doctor takes one peer at most.");
    const found = await ask(options, peer, signal);
    if (terminal.json) terminal.value(found);
    else for (const finding of found) show(finding, terminal);
    return found.some(({ severity }) => severity === "error") ? 1 : 0;
  },
};

/** What a running node finds; without one, what stands in the way of starting it. */
async function ask(
  options: OptionValues,
  peer: string | undefined,
  signal: AbortSignal,
): Promise<Finding[]> {
  let node: NodeClient;
  try {
    node = await findNode(options);
  } catch (thrown) {
    if (!(thrown instanceof NetworkError) || thrown.code !== "UNAVAILABLE") throw thrown;
    return [
      { severity: "error", subject: "node", message: "none runs", mend: "hanzo-network up" },
      ...await hostAlone(options),
    ];
  }
  return await node.doctor(peer, signal);
}

/** What a node that is started with these options would find; nothing is sent. */
async function hostAlone(options: OptionValues): Promise<Finding[]> {
  const broadcastPort = options.integer("broadcast-port", 1, 65_535) ?? DEFAULT_BROADCAST_PORT;
  const open = openTo(options);
  const names = options.list("network-interface");
  const choice = { names, lan: leavesMachine({ networkInterfaces: names }) };
  const beacons = await beaconPort(broadcastPort);
  let interfaces: NetworkInterface[];
  try {
    interfaces = systemDatagrams().interfaces();
  } catch (thrown) {
    const message = describeError(thrown);
    return [{ severity: "error", subject: "interfaces", message }, beacons];
  }
  const { leftOut } = await import("../../network/diagnose.ts");
  const { missingHostPermissions } = await import("../../network/missing_permissions.ts");
  return [
    beacons,
    ...hostFindings({
      leavesMachine: choice.lan,
      open,
      interfaces,
      leftOut: leftOut(interfaces, choice),
      missingPermissions: missingHostPermissions(),
      broadcastPort,
      wallTime: Date.now(),
    }),
  ];
}

/** Whether the port of the beacons can be shared. */
async function beaconPort(port: number): Promise<Finding> {
  const subject = "beacons";
  try {
    const socket = await systemDatagrams().bind(
      { host: "0.0.0.0", port },
      { shared: true },
      () => {},
    );
    socket.close();
    return { severity: "ok", subject, message: `UDP port ${port} is free, or shared` };
  } catch (thrown) {
    return { severity: "error", subject, message: describeError(thrown) };
  }
}

function show({ severity, subject, message, mend }: Finding, terminal: Terminal): void {
  const [sign, style] = SIGNS[severity];
  const what = terminal.style("bold", safeLine(subject));
  terminal.line(`${terminal.style(style, sign)} ${what}: ${safeLine(message)}`);
  if (mend !== undefined) terminal.line(`  → ${safeLine(mend)}`);
}
