/** `key`: the keys of the network, who has them, and how to change that. */

import { MAX_GRACE_MS } from "../../security/keyring.ts";
import type { KeyList } from "../../network/network_keys.ts";
import { type Command, type Invocation, NODE_OPTIONS, UsageError } from "../command.ts";
import { findNode, type NodeClient } from "../node_client.ts";
import { plural } from "../show.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

const HOUR_MS = 60 * 60 * 1_000;
const MAX_GRACE_HOURS = MAX_GRACE_MS / HOUR_MS;
/** Of an identity, for people: enough to tell their devices apart. */
const SHORT = 16;

export const command: Command = {
  positionals: "list | rotate | evict NODE | forget NODE",
  summary: "Show and change who is in the network",
  options: [
    ...NODE_OPTIONS,
    {
      name: "grace",
      kind: "text",
      value: "HOURS",
      help: "with rotate: how long the old key counts, 0 to 24 (default: 24)",
    },
  ],
  example: "hanzo-network key evict old-laptop",
  async run({ positionals: [action = "list", ...rest], options, terminal, signal }: Invocation) {
    const graceHours = options.integer("grace", 0, MAX_GRACE_HOURS);
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (act === undefined) {
      throw new UsageError(`key has no action "${action}", expected list, rotate, evict, forget.`);
    }
    if (rest.length !== (act.takesNode ? 1 : 0)) {
      throw new UsageError(
        act.takesNode ? `key ${action} takes one NODE.` : `key ${action} takes nothing more.`,
      );
    }
    if (graceHours !== undefined && action !== "rotate") {
      throw new UsageError(`--grace goes with rotate, not with ${action}.`);
    }
    const client = await findNode(options);
    const keys = await act.run(client, { node: rest[0], graceHours, signal });
    if (terminal.json) terminal.value(keys);
    else {
      if (act.done !== undefined) terminal.line(act.done(rest[0]));
      if (keys !== null) show(keys, terminal);
    }
    return 0;
  },
};

interface Action {
  readonly takesNode: boolean;
  readonly done?: (node: string) => string;
  /** Null from a node without a key, which has no list. */
  run(
    client: NodeClient,
    given: { node: string; graceHours: number | undefined; signal: AbortSignal },
  ): Promise<KeyList | null>;
}

const ACTIONS: Record<string, Action | undefined> = {
  list: { takesNode: false, run: (client, { signal }) => client.keys(signal) },
  rotate: {
    takesNode: false,
    done: () => "The network has a new key. Devices that are here have it already.\n",
    run: (client, { graceHours, signal }) =>
      client.rotateKey(graceHours === undefined ? {} : { graceMs: graceHours * HOUR_MS }, signal),
  },
  evict: {
    takesNode: true,
    done: (node) => `"${node}" is out. All others that are here have a new key.\n`,
    run: (client, { node, signal }) => client.evict({ node }, signal),
  },
  forget: {
    takesNode: true,
    done: (node) => `Another device may call itself "${node}" now. Do the same on your others.\n`,
    run: (client, { node, signal }) => client.forget({ node }, signal),
  },
};

function show({ networkName, identity, keys, members }: KeyList, terminal: Terminal): void {
  const lines = [
    `Network ${networkName}; this node is ${identity.slice(0, SHORT)}.`,
    "",
    ...table(
      ["KEY", "EPOCH", "COUNTS UNTIL", "FOR"],
      keys.map(({ tag, epoch, acceptedUntil, acceptedFor }) => [
        tag,
        `${epoch}`,
        acceptedUntil === null ? "the next one" : new Date(acceptedUntil).toISOString(),
        acceptedFor === null ? "all who have it" : plural(acceptedFor, "device"),
      ]),
      terminal.columns,
    ),
    "",
    ...table(
      ["NODE", "IDENTITY", "FIRST SEEN", "LINKED UNDER"],
      members.map(({ nodeId, identity, firstSeen, tag }) => [
        nodeId,
        identity.slice(0, SHORT),
        new Date(firstSeen).toISOString().slice(0, 10),
        tag ?? "–",
      ]),
      terminal.columns,
    ),
  ];
  for (const line of lines) terminal.line(line);
}
