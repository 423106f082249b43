/** `version`: what is running. */

import { VERSION } from "../../network/version.ts";
import type { Command, Invocation } from "../command.ts";

export const command: Command = {
  positionals: "",
  summary: "Show the version",
  options: [],
  example: "hanzo-network version",
  run({ terminal }: Invocation): Promise<number> {
    const { deno, v8 } = Deno.version;
    const { os, arch } = Deno.build;
    if (terminal.json) terminal.value({ version: VERSION, deno, v8, os, arch });
    else terminal.line(`hanzo-network ${VERSION} (Deno ${deno}, ${os} ${arch})`);
    return Promise.resolve(0);
  },
};
