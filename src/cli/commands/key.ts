/** `key`: the keys of the network, who has them, and how to change that. */

import { MAX_GRACE_MS } from "../../security/keyring.ts";
import type { EvictAnswer } from "../../gateway/key_routes.ts";
import type { KeyList } from "../../network/network_keys.ts";
import type { Eviction } from "../../security/eviction.ts";
import type { KnownNode } from "../../security/known_nodes.ts";
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
  positionals: "list | rotate | evict NODE... | forget NODE | client NAME",
  summary: "Show and change who is in the network",
  options: [
    ...NODE_OPTIONS,
    {
      name: "grace",
      kind: "text",
      value: "HOURS",
      help: "with rotate: how long the old key counts, 0 to 24 (default: 24)",
    },
    {
      name: "keep",
      kind: "list",
      value: "NODE",
      help: "with evict: this one is yours and stays, also if it came today",
    },
    { name: "dry-run", kind: "flag", help: "with evict: only show who would be out" },
    {
      name: "dir",
      kind: "text",
      value: "DIR",
      help: "with client: where its files are written (default: a directory of that name)",
    },
  ],
  example: "hanzo-network key evict old-laptop --keep new-phone",
  async run({ positionals: [action = "list", ...rest], options, terminal, signal }: Invocation) {
    const graceHours = options.integer("grace", 0, MAX_GRACE_HOURS);
    const [keep, dryRun] = [options.list("keep"), options.flag("dry-run")];
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (act === undefined) {
      throw new UsageError(
        `key has no action "${action}", expected list, rotate, evict, forget, client.`,
      );
    }
    const [least, most] = act.takes;
    if (rest.length < least || rest.length > most) {
      const expected = most === 0 ? "nothing more" : most > 1 ? "one NODE or more" : act.of;
      throw new UsageError(`key ${action} takes ${expected}.`);
    }
    const misplaced = (option: string, of: string) =>
      new UsageError(`--${option} goes with ${of}, not with ${action}.`);
    if (graceHours !== undefined && action !== "rotate") throw misplaced("grace", "rotate");
    if (keep.length > 0 && action !== "evict") throw misplaced("keep", "evict");
    if (dryRun && action !== "evict") throw misplaced("dry-run", "evict");
    const directory = options.text("dir");
    if (directory !== undefined && action !== "client") throw misplaced("dir", "client");
    const client = await findNode(options);
    const given = { nodes: rest, graceHours, keep, dryRun, directory };
    await act.run(client, given, terminal, signal);
    return 0;
  },
};

interface Given {
  readonly nodes: readonly string[];
  readonly graceHours: number | undefined;
  readonly keep: readonly string[];
  readonly dryRun: boolean;
  readonly directory: string | undefined;
}

interface Action {
  /** How many labels stand behind it, at least and at most. */
  readonly takes: readonly [least: number, most: number];
  /** What one of them is of. */
  readonly of?: string;
  /** Does it and shows what has come of it. */
  run(client: NodeClient, given: Given, terminal: Terminal, signal: AbortSignal): Promise<void>;
}

const ACTIONS: Record<string, Action | undefined> = {
  list: {
    takes: [0, 0],
    async run(client, _, terminal, signal) {
      show(await client.keys.list(signal), terminal);
    },
  },
  rotate: {
    takes: [0, 0],
    async run(client, { graceHours }, terminal, signal) {
      const body = graceHours === undefined ? {} : { graceMs: graceHours * HOUR_MS };
      const keys = await client.keys.rotate(body, signal);
      show(keys, terminal, "The network has a new key. Devices that are here have it already.");
    },
  },
  evict: {
    takes: [1, Infinity],
    async run(client, { nodes, keep, dryRun }, terminal, signal) {
      const answer = await client.keys.evict(
        { nodes: [...nodes], keep: [...keep], dryRun },
        signal,
      );
      showEviction(answer, dryRun, terminal);
    },
  },
  forget: {
    takes: [1, 1],
    of: "one NODE",
    async run(client, { nodes: [node] }, terminal, signal) {
      // Null from a node without a key, which has no list.
      const keys: KeyList | null = await client.keys.forget({ node }, signal);
      const done = `Another device may call itself "${node}" now. Do the same on your others.`;
      show(keys, terminal, done);
    },
  },
  client: {
    takes: [1, 1],
    of: "one NAME",
    async run(client, { nodes: [name], directory = name }, terminal, signal) {
      const { writeClientFiles } = await import("../client_files.ts");
      const certify = (publicKey: string) => client.keys.certifyClient({ name, publicKey }, signal);
      const files = await writeClientFiles(directory, certify);
      if (terminal.json) return terminal.value({ name, directory, files });
      terminal.line(`"${name}" may run agents, list them and ask for the status. Its files:`);
      for (const file of files) terminal.line(`  ${directory}/${file}`);
      terminal.line("They count until the key is rotated or anybody is evicted.");
    },
  },
};

/** @param done What was done, for people. */
function show(list: KeyList | null, terminal: Terminal, done?: string): void {
  if (terminal.json) return terminal.value(list);
  if (done !== undefined) terminal.line(`${done}\n`);
  if (list === null) return;
  const { networkName, identity, keys, members } = list;
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
      [...NODE_HEADINGS, "LINKED UNDER"],
      members.map((one) => [...nodeCells(one), one.counts ? one.tag ?? "–" : "counts no more"]),
      terminal.columns,
    ),
  ];
  for (const line of lines) terminal.line(line);
}

function showEviction(answer: EvictAnswer, dryRun: boolean, terminal: Terminal): void {
  if (terminal.json) return terminal.value(answer);
  const { evicted, staying, doubted } = answer.eviction;
  const who = evicted.map(({ nodeId }) => `"${nodeId}"`).join(", ");
  const are = dryRun ? "would be" : evicted.length === 1 ? "is" : "are";
  const lines = [
    `${who} ${are} out.`,
    ...doubted.length === 0 ? [] : [
      "",
      ...nodeTable("OUT AS WELL", doubted, terminal),
      "",
      `These were first seen less than a day ago, or only ever where ${who} ${
        evicted.length === 1 ? "was" : "were"
      }:`,
      "each may be the same device by another name. One that is yours " +
      (dryRun ? "stays with --keep NODE." : "has to join anew:"),
      ...dryRun ? [] : ["hanzo-network invite here, hanzo-network join there."],
    ],
    "",
    ...staying.length === 0 ? ["Nobody else stays."] : [
      ...nodeTable("STAYS", staying, terminal),
      "",
      "Is one of these no device of yours? Evict it as well. Whoever is away has a day to come back.",
    ],
  ];
  for (const line of lines) terminal.line(line);
}

const NODE_HEADINGS = ["NODE", "IDENTITY", "FIRST SEEN", "LAST AT"];

function nodeTable(
  heading: string,
  nodes: Eviction["staying"],
  { columns }: Terminal,
): string[] {
  return table([heading, ...NODE_HEADINGS.slice(1)], nodes.map(nodeCells), columns);
}

function nodeCells({ nodeId, identity, firstSeen, hosts: [last] }: KnownNode): string[] {
  const minute = new Date(firstSeen).toISOString().slice(0, 16).replace("T", " ");
  return [nodeId, identity.slice(0, SHORT), minute, last ?? "–"];
}
