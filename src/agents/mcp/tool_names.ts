/** Names for the tools of MCP servers: labels, each used once. */

const MAX_LENGTH = 63;

/** A name as a label; none is empty. */
export function labelOf(name: string): string {
  const label = name.replaceAll(/[^A-Za-z0-9._-]/g, "_").replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, MAX_LENGTH);
  return label === "" ? "tool" : label;
}

/**
 * A label that is not taken yet, and is then: the name's own, else with the server's name in front,
 * else with a number behind.
 */
export function freeLabel(name: string, server: string, taken: Set<string>): string {
  const own = labelOf(name);
  const prefixed = labelOf(`${server}_${own}`);
  let label = taken.has(own) ? prefixed : own;
  for (let count = 2; taken.has(label); count++) {
    const suffix = `_${count}`;
    label = prefixed.slice(0, MAX_LENGTH - suffix.length) + suffix;
  }
  taken.add(label);
  return label;
}
