/** `join`: brings this machine into the network of a code. */

import { safeName } from "../../base/safe_text.ts";
import { dataDirectory } from "../../network/data_directory.ts";
import { joinNetwork } from "../../network/join_network.ts";
import { beginsLikeCode, decodeJoinCode } from "../../security/join_code.ts";
import { type Command, type Invocation, UsageError } from "../command.ts";
import { environment } from "../option_values.ts";
import { codeFromCamera, codeFromFile, codeFromStdin } from "../join_source.ts";

export const command: Command = {
  positionals: "[CODE | FILE | -]",
  summary: "Join the network of a code",
  options: [
    { name: "camera", kind: "flag", help: "look for the code with this machine's camera" },
    {
      name: "leave",
      kind: "flag",
      help: "leave the network that this machine is in, for good",
    },
    {
      name: "data-dir",
      kind: "text",
      value: "DIR",
      help: "where this machine's nodes keep their files",
      setting: true,
    },
  ],
  example: "hanzo-network join code.png",
  async run({ positionals: [source, ...rest], options, terminal, signal }: Invocation) {
    const usesCamera = options.flag("camera");
    if (rest.length > 0 || source === "" || (usesCamera && source !== undefined)) {
      throw new UsageError("join takes one CODE, FILE or -, or --camera.");
    }
    const directory = dataDirectory(options.text("data-dir"), environment);
    const code = usesCamera
      ? await codeFromCamera(terminal, directory, signal)
      : source === undefined || source === "-"
      ? await codeFromStdin(terminal, signal)
      : beginsLikeCode(source)
      ? fromArgument(source)
      : await codeFromFile(source);
    const joined = await joinNetwork(code, {
      dataDirectory: directory,
      leave: options.flag("leave"),
      signal,
    });
    if (terminal.json) terminal.value(joined);
    else {
      const name = safeName(joined.networkName);
      terminal.line(
        joined.wasMember
          ? `This machine was in ${name} already, and has its newest key.`
          : `This machine is in ${name} now. Start it: hanzo-network up`,
      );
    }
    return 0;
  },
};

/** Command lines can be seen by every user of a machine: an invite may stand there, a key not. */
function fromArgument(code: string): string {
  if (decodeJoinCode(code).kind === "invite") return code;
  throw new UsageError(
    "This code is the network's key itself, and command lines can be seen by others. " +
      "Give it on standard input: hanzo-network join -",
  );
}
