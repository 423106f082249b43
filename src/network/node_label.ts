/** What a node is called when nobody has said it. */

import { isGranted } from "../base/permissions.ts";
import type { Random } from "../base/random.ts";

/** A label made of the host's name and four random digits that tell two hosts of one name apart. */
export function defaultNodeId(hostName: string, random: Random): string {
  const digits = Math.floor(random.next() * 10_000).toString().padStart(4, "0");
  return `${hostLabel(hostName)}-${digits}`;
}

/** The label that comes nearest to a host's name. */
export function hostLabel(hostName: string): string {
  const name = hostName.split(".")[0].replaceAll(/[^A-Za-z0-9-]/g, "-").replace(/^-+/, "");
  return name.slice(0, 58) || "node";
}

/** The system's name for this host; "" without `--allow-sys=hostname`. */
export function systemHostName(): string {
  return isGranted({ name: "sys", kind: "hostname" }) ? Deno.hostname() : "";
}
