/** The files by which a program in another language calls nodes, in a directory of its own. */

import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { NetworkError } from "../base/errors.ts";
import { needGranted } from "../base/permissions.ts";
import { fileError, writePrivateTogether } from "../base/private_file.ts";
import type { ClientCertificate } from "../security/client_certificate.ts";
import { newPrivateKey } from "../security/identity.ts";

/**
 * Makes a key pair, lets a node certify its public half, and writes both: all files with mode 0600,
 * and where one of them cannot be written, those that were there before stay as they were.
 *
 * @param certify Is given the public key, as DER in base64.
 * @returns The names of the files.
 */
export async function writeClientFiles(
  directory: string,
  certify: (publicKey: string) => Promise<ClientCertificate>,
): Promise<string[]> {
  needGranted(
    `Cannot write the client's files to ${directory}`,
    { name: "read", path: directory },
    { name: "write", path: directory },
  );
  const privateKey = newPrivateKey();
  const der = createPublicKey(createPrivateKey(privateKey)).export({ type: "spki", format: "der" });
  const made = await certify(Buffer.from(der).toString("base64"));
  const files = {
    "ca.pem": made.authority,
    "client.pem": made.certificate,
    "client.key": privateKey,
    "server-name": made.serverName,
  };
  try {
    await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists || cause instanceof Deno.errors.NotADirectory) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot write the client's files to ${directory}: that is a file. Name a directory by --dir.`,
        { cause },
      );
    }
    throw fileError("write", directory, cause);
  }
  await writePrivateTogether(directory, files);
  return Object.keys(files);
}
