/** `invite`: a code by which another device joins. */

import { NetworkError } from "../../base/errors.ts";
import { writePrivate } from "../../base/private_file.ts";
import { safeLine, safeName } from "../../base/safe_text.ts";
import { dataDirectory } from "../../network/data_directory.ts";
import { type JoinQr, joinQr } from "../../network/join_qr.ts";
import { staticJoinQr } from "../../network/static_code.ts";
import {
  type Command,
  type Invocation,
  NODE_OPTIONS,
  type OptionValues,
  UsageError,
} from "../command.ts";
import { findNode } from "../node_client.ts";
import { environment } from "../option_values.ts";
import { refuseSpecial } from "../output_file.ts";
import type { Terminal } from "../terminal.ts";

const MINUTE_MS = 60_000;

export const command: Command = {
  positionals: "",
  summary: "Show a code by which another device joins",
  options: [
    ...NODE_OPTIONS,
    {
      name: "static",
      kind: "flag",
      help: "the network's KEY itself: for devices that join while nobody is up; guard it",
    },
    {
      name: "valid",
      kind: "text",
      value: "MINUTES",
      help: "how long the code is good, 1 to 1440 (default: 10)",
    },
    { name: "png", kind: "text", value: "FILE", help: "write the picture as PNG; - is stdout" },
    { name: "svg", kind: "text", value: "FILE", help: "write the picture as SVG; - is stdout" },
  ],
  example: "hanzo-network invite --png code.png",
  async run({ positionals, options, terminal, signal }: Invocation) {
    if (positionals.length > 0) throw new UsageError("invite takes no arguments.");
    const toStdout = (["png", "svg"] as const).filter((form) => options.text(form) === "-");
    if (toStdout.length > (terminal.json ? 0 : 1)) {
      throw new UsageError("Standard output takes one of: the PNG, the SVG, JSON.");
    }
    const qr = await make(options, signal);
    const files = await writePictures(qr, options);
    const { uri, kind, expiresAt, networkName } = qr;
    if (toStdout[0] === "png") terminal.write(await qr.png());
    else if (toStdout[0] === "svg") terminal.write(qr.svg());
    else if (terminal.json) terminal.value({ uri, kind, expiresAt, networkName, files });
    else show(qr, files, terminal);
    return 0;
  },
};

async function make(options: OptionValues, signal: AbortSignal): Promise<JoinQr> {
  const minutes = options.integer("valid", 1, 1_440);
  if (options.flag("static")) {
    if (minutes !== undefined) {
      throw new UsageError("A static code is good as long as the key is: leave out --valid.");
    }
    return await staticJoinQr(dataDirectory(options.text("data-dir"), environment));
  }
  const client = await findNode(options);
  const body = minutes === undefined ? {} : { validMs: minutes * MINUTE_MS };
  return joinQr(await client.keys.invite(body, signal));
}

/** The files that were asked for; whoever reads one is let in, so nobody else may. */
async function writePictures(qr: JoinQr, options: OptionValues): Promise<string[]> {
  const png = options.text("png");
  const svg = options.text("svg");
  for (const [path, draw] of [[png, () => qr.png()], [svg, () => qr.svg()]] as const) {
    if (path === undefined || path === "-") continue;
    await refuseSpecial(path);
    await writePrivate(path, await draw());
  }
  return [png, svg].filter((path) => path !== undefined && path !== "-") as string[];
}

function show(qr: JoinQr, files: readonly string[], terminal: Terminal): void {
  const { kind, expiresAt } = qr;
  const name = safeName(qr.networkName);
  if (kind === "static") {
    terminal.error(terminal.style(
      "red",
      "This code is the key of the network: whoever sees it is in, until ten\n" +
        "seconds after hanzo-network key rotate --grace 0. Do not photograph, mail or print it.",
    ));
  }
  const until = expiresAt === null
    ? "for as long as the key"
    : `for one device, until ${new Date(expiresAt).toLocaleTimeString()}`;
  if (files.length > 0) {
    const names = files.map(safeLine);
    terminal.line(`Wrote ${names.join(" and ")}, good ${until}.`);
    terminal.line(`On the other device: hanzo-network join ${names[0]}`);
    return;
  }
  // Command lines can be seen by others: a key is not to stand there.
  const typed = kind === "static"
    ? "type it into hanzo-network join -"
    : "type after hanzo-network join";
  terminal.line(`To join ${name}: hanzo-network join --camera, or ${typed}`);
  terminal.line(qr.uri);
  terminal.line(`Good ${until}.`);
  const drawing = qr.terminal({ colours: terminal.hasColours });
  if (terminal.columns < 60 || terminal.rows <= drawing.length) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot draw the code: the terminal is smaller than 60 columns and ${drawing.length + 1} ` +
        "lines. Enlarge it, or write a picture with --png FILE.",
    );
  }
  for (const line of drawing) terminal.line(line);
}
