/** A process that reads or makes the keyring of a directory as soon as it is told to. */

import { silentLogger } from "../../src/base/log.ts";
import { KeyringFile } from "../../src/security/keyring_file.ts";

const [directory] = Deno.args;
console.log("ready");
// All children wait for this one file, so that they begin together.
while (!await Deno.stat(`${directory}/go`).then(() => true, () => false));
const { keys: [{ key }] } = await new KeyringFile(directory, silentLogger).readOrMake("home");
console.log(`tag ${key.tag}`);
