/** The options of `up`, apart from it so that reading the settings does not load a node. */

import type { NodeToolOptions } from "../../agents/tools/node_tools.ts";
import type { OptionSpec, OptionValues } from "../command.ts";

/** The options of `up`. */
export const UP_OPTIONS: readonly OptionSpec[] = [
  {
    name: "name",
    kind: "text",
    value: "NAME",
    help: "the network's name; nodes of other names are ignored (default: as joined, or hanzo)",
    setting: true,
  },
  {
    name: "node-id",
    kind: "text",
    value: "ID",
    help: "the label of this node (default: the host's name and four digits, kept)",
    setting: true,
  },
  {
    name: "listen-port",
    kind: "text",
    value: "PORT",
    help: "where links are accepted (default: 5681, or the next free one)",
    setting: true,
  },
  {
    name: "broadcast-port",
    kind: "text",
    value: "PORT",
    help: "the UDP port of the beacons, the same on every node (default: 5678)",
    setting: true,
  },
  {
    name: "api-port",
    kind: "text",
    value: "PORT",
    help: "where the API listens, on 127.0.0.1 (default: 5680, or the next free one)",
    setting: true,
  },
  {
    name: "discovery",
    kind: "list",
    value: "WAY",
    help: "how nodes are found: udp, manual, tailscale (default: udp)",
    setting: true,
  },
  {
    name: "peer",
    kind: "list",
    value: "HOST:PORT",
    help: "a node to dial for as long as this one runs",
    setting: true,
  },
  {
    name: "config",
    kind: "text",
    value: "FILE",
    help: "a file that lists nodes, JSON or TOML; read again when it changes",
    setting: true,
  },
  {
    name: "tailscale",
    kind: "text",
    value: "COMMAND",
    help: "with --discovery tailscale: the command (default: where it usually is)",
    setting: true,
  },
  {
    name: "tailscale-api-key",
    kind: "text",
    value: "FILE",
    help: "with --discovery tailscale: a file with a token of its API, to learn of other ports",
    setting: true,
  },
  {
    name: "tailscale-api",
    kind: "text",
    value: "URL",
    help: "with --tailscale-api-key: where that API is, if it is not Tailscale's own",
    setting: true,
  },
  {
    name: "network-interface",
    kind: "list",
    value: "NAME",
    help: "the interface to use; lo alone: only this machine (default: all)",
    setting: true,
  },
  {
    name: "tls-cert",
    kind: "text",
    value: "FILE",
    help: "this node's certificate, of your own authority instead of the network's key",
    setting: true,
  },
  {
    name: "tls-key",
    kind: "text",
    value: "FILE",
    help: "with --tls-cert: its private key",
    setting: true,
  },
  {
    name: "tls-ca",
    kind: "text",
    value: "FILE",
    help: "with --tls-cert: the authorities whose certificates count",
    setting: true,
  },
  {
    name: "verify-peers",
    kind: "maybe",
    value: "BOOL",
    help: "with --tls-cert: whether peers must show a certificate (default: true)",
    setting: true,
  },
  {
    name: "open",
    kind: "maybe",
    value: "CIDR",
    help: "talk to everybody of private addresses, or of this range, WITHOUT KEY AND ENCRYPTION",
    setting: true,
  },
  {
    name: "open-accept-tasks",
    kind: "flag",
    help: "with --open, or peers unverified: let any machine that reaches this one run its agents",
    setting: true,
  },
  {
    name: "ignore-existing-peers",
    kind: "flag",
    help: "with --open: do not meet exo and hanzo-network, which plan models for all they see",
    setting: true,
  },
  {
    name: "agents",
    kind: "list",
    value: "FILE.ts",
    help: "a module whose exports are agents made with createAgent; read again when it changes",
    setting: true,
  },
  {
    name: "agent-url",
    kind: "list",
    value: "HOST:PORT",
    help: "a program on this machine that serves agents in another language: 127.0.0.1:50051",
    setting: true,
  },
  {
    name: "engine",
    kind: "list",
    value: "URL",
    help: "an engine of models that is not found by itself; with a key: URL#key-env=VARIABLE",
    setting: true,
  },
  {
    name: "model-alias",
    kind: "list",
    value: "NAME=MODEL",
    help: "another name for a model, or for several: fast=llama3.2:3b,qwen3:4b",
    setting: true,
  },
  {
    name: "no-engines",
    kind: "flag",
    help: "do not look for engines on the known ports of this machine (11434, 1234, 8080, …)",
    setting: true,
  },
  {
    name: "assistant-model",
    kind: "text",
    value: "MODEL",
    help: "the model of the agent assistant (default: the best that the network has)",
    setting: true,
  },
  {
    name: "allow-host",
    kind: "list",
    value: "HOST",
    help: "a host that agents may ask with http_request: api.example.com, *.example.com, HOST:PORT",
    setting: true,
  },
  {
    name: "web-search",
    kind: "text",
    value: "URL",
    help: "a SearXNG for the tool web_search; or brave:VARIABLE, where that holds a key of Brave's",
    setting: true,
  },
  {
    name: "label",
    kind: "list",
    value: "NAME",
    help: "what you call this device, for run --label: gpu-room",
    setting: true,
  },
  {
    name: "capabilities",
    kind: "text",
    value: "FILE.json",
    help: "what this device is, instead of what is found",
    setting: true,
  },
  {
    name: "slots",
    kind: "text",
    value: "N",
    help: "how many tasks run here at a time (default: half of the cores, 2 to 8)",
    setting: true,
  },
  {
    name: "data-dir",
    kind: "text",
    value: "DIR",
    help: "where this machine's nodes keep their files",
    setting: true,
  },
  {
    name: "checkpoint-every",
    kind: "text",
    value: "MINUTES",
    help: "keep the shared state so often if it has changed, 1 to 10080; 0: never (default: 60)",
    setting: true,
  },
  {
    name: "keep-checkpoints",
    kind: "text",
    value: "N",
    help: "how many of these stay, 1 to 1000 (default: 24, and 256 MiB together)",
    setting: true,
  },
  {
    name: "until-stdin-ends",
    kind: "flag",
    help: "stop when stdin ends: for a program that runs nodes and must not leave them behind",
  },
  {
    name: "log-level",
    kind: "text",
    value: "LEVEL",
    help: "debug, info, warning or error; the log goes to stderr (default: info)",
    setting: true,
  },
];

/** What `--allow-host` and `--web-search` allow. */
export function allowedTools(options: OptionValues): NodeToolOptions {
  const allowHosts = options.list("allow-host");
  const search = options.text("web-search");
  const brave = /^brave:(.*)$/.exec(search ?? "");
  return {
    ...(allowHosts.length > 0 && { httpRequest: { allowHosts } }),
    ...(brave !== null && { webSearch: { braveKeyEnv: brave[1] } }),
    ...(brave === null && search !== undefined && { webSearch: { searxng: search } }),
  };
}

/** What `--open` says: no, every private address, or a range of them. */
export function openTo(options: OptionValues): boolean | string {
  const value = options.text("open");
  if (value === undefined || value === "false") return false;
  return value === "true" ? true : value;
}
