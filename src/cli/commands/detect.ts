/** `detect`: what this device is, where each figure comes from, and what could not be read. */

import { detectDevice, type DeviceReport } from "../../device/detect.ts";
import { readCapabilities } from "../capabilities_file.ts";
import type { Command, Invocation } from "../command.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export const command: Command = {
  positionals: "",
  summary: "Show what this device is and where each figure comes from",
  options: [{
    name: "capabilities",
    kind: "text",
    value: "FILE.json",
    help: "what this device is, instead of what is found",
    setting: true,
  }],
  example: "hanzo-network detect",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const overrides = await readCapabilities(options.text("capabilities"));
    const report = await detectDevice({ overrides, signal });
    if (terminal.json) terminal.value(report);
    else show(report, terminal);
    return 0;
  },
};

function show(report: DeviceReport, terminal: Terminal): void {
  const { capabilities, sources, missing, durationMs } = report;
  const known = flatten(capabilities).filter(([, value]) => value !== null);
  const rows = known.map(([field, value]) => [
    field,
    `${value}${unitOf(field)}`,
    sources[field] ?? "",
  ]);
  for (const line of table(["FIGURE", "VALUE", "FROM"], rows, terminal.columns)) {
    terminal.line(line);
  }
  if (Object.keys(missing).length > 0) {
    terminal.line();
    terminal.line(terminal.style("bold", "Not known:"));
    for (const [field, reason] of Object.entries(missing)) terminal.line(`  ${field}: ${reason}`);
  }
  terminal.error(terminal.style("dim", `Found in ${Math.round(durationMs)} ms.`));
}

/** The scalars of a value, each with its dotted place. */
function flatten(value: unknown, place = ""): [string, string | number | boolean | null][] {
  if (typeof value !== "object" || value === null) {
    return [[place, value as string | number | boolean | null]];
  }
  return Object.entries(value).flatMap(([key, inner]) =>
    flatten(inner, place === "" ? key : `${place}.${key}`)
  );
}

function unitOf(field: string): string {
  if (/(^|\.)(memory|vram)$/.test(field)) return " MB";
  if (/flops\.int8$/.test(field)) return " TOPS";
  return /flops\./.test(field) ? " TFLOPS" : "";
}
