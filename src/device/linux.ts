/** What Linux's tools say of a machine: `lscpu`, `lspci`, and what the kernel shows as files. */

import { isIntelCard, vendorOf } from "./gpu.ts";
import {
  ask,
  asList,
  asName,
  asRecord,
  type Finding,
  type FoundGpu,
  jsonObjectIn,
  type ProbeContext,
  type Question,
} from "./probe.ts";
import { safeName } from "../base/safe_text.ts";

// Deno itself reads /proc and /sys only with --allow-all; `cat` needs --allow-run=cat alone.
const deviceTree: Question<string> = {
  command: "cat",
  args: ["/proc/device-tree/model"],
  hint: "it is part of every Linux",
  parse: parseDeviceTreeModel,
};

const dmi: Question<string> = {
  command: "cat",
  args: ["/sys/devices/virtual/dmi/id/sys_vendor", "/sys/devices/virtual/dmi/id/product_name"],
  hint: "it is part of every Linux",
  parse: parseDmi,
};

const lscpu: Question<string> = {
  command: "lscpu",
  args: ["-J"],
  hint: "it is in the package util-linux",
  parse: parseLscpu,
};

const lspci: Question<Omit<FoundGpu, "source">[]> = {
  command: "lspci",
  args: [],
  hint: "it is in the package pciutils",
  parse: parseLspci,
};

/** Asks for a board's name in the device tree, which ARM boards have: Raspberry Pi, Jetson. */
export function askDeviceTree(context: ProbeContext): Promise<Finding<string>> {
  return ask(context, deviceTree);
}

/** Asks for maker and model as the firmware of a PC gives them. */
export function askDmi(context: ProbeContext): Promise<Finding<string>> {
  return ask(context, dmi);
}

/** Asks `lscpu` for the processor's name. */
export function askLscpu(context: ProbeContext): Promise<Finding<string>> {
  return ask(context, lscpu);
}

/** Asks `lspci` for GPUs, which it names without saying how much memory they have. */
export function askLspci(context: ProbeContext): Promise<Finding<Omit<FoundGpu, "source">[]>> {
  return ask(context, lspci);
}

/** Reads a device tree's string, which ends with a NUL. */
export function parseDeviceTreeModel(stdout: string): string | null {
  return asName(stdout.split("\0", 1)[0]);
}

// What makers leave in the firmware when they fill in nothing.
const UNFILLED =
  /^(?:to be filled by o\.?e\.?m\.?|system (?:manufacturer|product name)|default string|not specified|none|o\.?e\.?m\.?|unknown)$/i;

/** Reads maker and product, a line each; `null` when the maker filled in nothing. */
export function parseDmi(stdout: string): string | null {
  const [maker, product] = stdout.split("\n").map((line) => safeName(line))
    .map((line) => UNFILLED.test(line) ? "" : line);
  if (product === undefined) return asName(maker);
  return asName(product.startsWith(maker) ? product : `${maker} ${product}`);
}

/**
 * Reads `lscpu -J`: fields that since util-linux 2.37 nest in `children`. A processor with several
 * kinds of core has several names.
 */
export function parseLscpu(stdout: string): string | null {
  const names = new Set<string>();
  const open = asList(jsonObjectIn(stdout)?.["lscpu"]);
  // jsonObjectIn bounds the depth; a loop walks it in order.
  for (let item = open.shift(); item !== undefined; item = open.shift()) {
    const fields = asRecord(item);
    if (fields === null) continue;
    const name = asName(fields["data"]);
    // "-" stands for a core that is switched off.
    if (fields["field"] === "Model name:" && name !== null && name !== "-") names.add(name);
    open.unshift(...asList(fields["children"]));
  }
  return asName([...names].join(" + "));
}

const DISPLAY = /^\S+ (?:VGA compatible controller|3D controller|Display controller)[^:]*: (.+)$/;

/** Reads `lspci`; GPUs of makers that compute with them, without the server's console chips. */
export function parseLspci(stdout: string): Omit<FoundGpu, "source">[] | null {
  if (stdout.trim() === "") return null;
  const gpus: Omit<FoundGpu, "source">[] = [];
  for (const line of stdout.split("\n")) {
    const description = DISPLAY.exec(line)?.[1];
    if (description === undefined) continue;
    const vendor = vendorOf(description);
    if (vendor !== "nvidia" && vendor !== "amd" && vendor !== "intel") continue;
    const name = marketName(description);
    if (name === null) continue;
    const unified = vendor === "intel" && !isIntelCard(name);
    gpus.push({
      name,
      vendor,
      memory: null,
      unified: vendor === "intel" ? unified : null,
      ...(unified ? {} : { memoryReason: "lspci does not give the memory" }),
    });
  }
  return gpus;
}

const MAKERS = {
  "NVIDIA": /^NVIDIA Corporation /,
  "AMD": /^Advanced Micro Devices, Inc\. (?:\[AMD(?:\/ATI)?\] )?/,
  "Intel": /^Intel Corporation /,
};

/** `NVIDIA Corporation AD102 [GeForce RTX 4090] (rev a1)` is `NVIDIA GeForce RTX 4090`. */
function marketName(description: string): string | null {
  // `lspci -nn` puts numeric ids behind.
  const text = description.replace(/ \(rev [^)]*\)/, "").replace(
    / \[[0-9a-f]{4}:[0-9a-f]{4}\]/,
    "",
  );
  for (const [maker, prefix] of Object.entries(MAKERS)) {
    if (!prefix.test(text)) continue;
    const device = text.replace(prefix, "");
    return asName(`${maker} ${/\[([^\]]+)\]/.exec(device)?.[1] ?? device}`);
  }
  return asName(text);
}
