/** Whoever the operator's own authority has certified is talked to, as the name that it certified. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type Credentials, identityOf } from "./identity.ts";
import { certificateProblems, type Certificates, isVersion3 } from "./own_certificate.ts";
import { noNode, type PeerCredential, type Trust, type TrustProblem } from "./trust.ts";

/** Files of PEM. */
export interface TlsFiles {
  /** The node's certificate, and those between it and the authority. */
  readonly cert: string;
  readonly key: string;
  /** The authorities to believe. */
  readonly ca: string;
}

/** What {@linkcode OwnTlsTrust} is made of. */
export interface OwnTlsTrustOptions {
  readonly files: TlsFiles;
  /** Whether peers must show a certificate of the authority. */
  readonly verifyPeers: boolean;
  readonly nodeId: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two looks at the files. */
const LOOK_MS = 2_000;
/** What the credentials are called: there is only one set of them. */
const TAG = "tls";
/** Says in a ClientHello that it is for this program; certificates need not bear it. */
const SERVER_NAME = "hanzo-network";
const MAX_FILE_BYTES = 1024 * 1024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** See the top of the file. */
export class OwnTlsTrust implements Trust {
  readonly mode = "tls";
  readonly known = undefined;
  readonly verifiesPeers: boolean;
  readonly #options: OwnTlsTrustOptions;
  #loaded: Loaded;
  /** The same array as long as nothing changes. */
  #credentials: readonly Credentials[];
  #onChange = () => {};
  #cancelLooks: CancelTimer = () => {};
  #looking: Promise<void> | undefined;
  /** The last thing that was wrong with the files. */
  #complaint: string | undefined;
  /** Problems that were logged. */
  #told = new Set<string>();

  private constructor(options: OwnTlsTrustOptions, loaded: Loaded) {
    this.#options = options;
    this.verifiesPeers = options.verifyPeers;
    this.#loaded = loaded;
    this.#credentials = [loaded.credentials];
    this.#tell();
  }

  /**
   * Reads the files.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` naming the file and what is wrong with it.
   */
  static async open(options: OwnTlsTrustOptions): Promise<OwnTlsTrust> {
    return new OwnTlsTrust(options, await load(options));
  }

  get identity(): string {
    return this.#loaded.identity;
  }

  credentials(): readonly Credentials[] {
    return this.#credentials;
  }

  /** None: beacons are in the clear, and only hints. */
  keys(): undefined {
    return undefined;
  }

  admits(): boolean {
    return true;
  }

  vouch(nodeId: string, peer: PeerCredential | undefined): void {
    if (!this.verifiesPeers) return;
    if (peer?.isClient) throw noNode(nodeId);
    if (peer?.names.includes(nodeId)) return;
    throw new NetworkError(
      "PERMISSION_DENIED",
      `Cannot talk to "${nodeId}": its certificate is for "${peer?.names.join('", "') ?? ""}". ` +
        `Start it with that name as its --node-id, or certify it for "${nodeId}".`,
    );
  }

  /** What is wrong with the certificate that is in use, and with the files that would replace it. */
  problems(): readonly TrustProblem[] {
    const { files, clock } = this.#options;
    const { chain, authorities } = this.#loaded;
    const found = certificateProblems(chain, authorities, files, clock.wallTime());
    if (this.#complaint === undefined) return found;
    const unused: TrustProblem = {
      severity: "warning",
      message: `the certificate files have changed and are not in use: ${this.#complaint}`,
      mend: "mend or restore them; what was read before stays in use meanwhile, until a restart",
    };
    return [unused, ...found];
  }

  start(onChange: () => void): void {
    this.#onChange = onChange;
    this.#cancelLooks = every(this.#options.clock, LOOK_MS, () => {
      this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    });
  }

  async stop(): Promise<void> {
    this.#cancelLooks();
    this.#onChange = () => {};
    await this.#looking;
  }

  async #look(): Promise<void> {
    try {
      const isInUse = await stampOf(this.#options.files) === this.#loaded.stamp;
      if (!isInUse) {
        this.#loaded = await load(this.#options);
        this.#credentials = [this.#loaded.credentials];
        this.#options.logger.info("The certificate files have changed and are in use");
      }
      if (isInUse && this.#complaint !== undefined) {
        this.#options.logger.info("The certificate files are those that are in use again");
      }
      this.#complaint = undefined;
      this.#tell();
      if (!isInUse) this.#onChange();
    } catch (thrown) {
      // They are replaced one after the other; what does not fit yet is left out of use.
      const reason = describeError(thrown);
      if (reason === this.#complaint) return;
      this.#complaint = reason;
      this.#options.logger.warn("The certificates that are in use stay: {reason}", { reason });
    }
  }

  /** Logs the problems that were not there at the last look. */
  #tell(): void {
    const problems = this.problems();
    for (const { message, mend } of problems) {
      if (this.#told.has(message)) continue;
      this.#options.logger.warn("Certificates: {message} → {mend}", { message, mend });
    }
    this.#told = new Set(problems.map(({ message }) => message));
  }
}

interface Loaded {
  readonly credentials: Credentials;
  /** The node's certificate, and the others of its file. */
  readonly chain: Certificates;
  readonly authorities: Certificates;
  readonly identity: string;
  readonly stamp: string;
}

async function load({ files, nodeId, verifyPeers }: OwnTlsTrustOptions): Promise<Loaded> {
  const stamp = await stampOf(files);
  // One after the other: what fails leaves none of them being read.
  const certificate = await readPem("tlsCert", files.cert);
  const privateKey = await readPem("tlsKey", files.key);
  const authority = await readPem("tlsCa", files.ca);
  const chain = parsed("tlsCert", files.cert, () => certificatesIn(certificate));
  const [leaf] = chain;
  if (privateKey.includes("ENCRYPTED")) {
    throw refusal("tlsKey", files.key, "it has a passphrase. Write it once more without one");
  }
  const key = parsed("tlsKey", files.key, () => createPrivateKey(privateKey));
  const authorities = parsed("tlsCa", files.ca, () => certificatesIn(authority));
  if (!leaf.checkPrivateKey(key)) {
    throw refusal("tlsKey", files.key, `it is not the key of the certificate in ${files.cert}`);
  }
  // What it cannot use TLS would tell at the first connection, where nobody can catch it.
  const secure = () => createSecureContext({ cert: certificate, key: privateKey, ca: authority });
  parsed("tlsKey", files.key, secure, "TLS cannot use it: it is too short, or of an unusual kind");
  if (chain.some((one) => !isVersion3(one))) {
    throw refusal(
      "tlsCert",
      files.cert,
      "it is of X.509 version 1, which TLS refuses. Issue it as version 3, with a subjectAltName: " +
        `openssl x509 -req … -extfile FILE, where FILE says subjectAltName=DNS:${nodeId}`,
    );
  }
  const names = namesOf(leaf);
  if (verifyPeers && !names.includes(nodeId)) {
    throw refusal(
      "tlsCert",
      files.cert,
      `it is for "${names.join('", "')}", and this node is "${nodeId}": others would refuse it. ` +
        `Start it with --node-id ${names[0] ?? "NAME"}, or certify it for "${nodeId}"`,
    );
  }
  return {
    credentials: { tag: TAG, serverName: SERVER_NAME, authority, certificate, privateKey },
    chain,
    authorities,
    identity: identityOf(leaf.raw),
    stamp,
  };
}

/** The common name, and the first parts of the DNS names. */
function namesOf({ subject, subjectAltName }: X509Certificate): string[] {
  const common = /(?:^|\n)CN=([^\n]*)/.exec(subject ?? "")?.[1];
  const dns = (subjectAltName ?? "").split(", ").filter((name) => name.startsWith("DNS:"))
    .map((name) => name.slice(4).split(".")[0]);
  return [...new Set([...(common === undefined ? [] : [common]), ...dns])];
}

async function readPem(option: string, path: string): Promise<string> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_FILE_BYTES) throw new Error(`it is longer than ${MAX_FILE_BYTES} bytes`);
    const text = await Deno.readTextFile(path);
    if (!text.includes("-----BEGIN ")) throw new Error("it is no PEM");
    return text;
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotCapable
      ? "not permitted; grant --allow-read for it"
      : describeError(cause);
    throw refusal(option, path, reason, cause);
  }
}

/** All certificates of a text, at least one. */
function certificatesIn(text: string): Certificates {
  const [first, ...others] = text.match(CERTIFICATE) ?? [text];
  return [new X509Certificate(first), ...others.map((one) => new X509Certificate(one))];
}

function parsed<T>(
  option: string,
  path: string,
  parse: () => T,
  fault = "it cannot be read as what it is to be",
): T {
  try {
    return parse();
  } catch {
    // Without the cause: its words may be of the key.
    throw refusal(option, path, fault);
  }
}

async function stampOf({ cert, key, ca }: TlsFiles): Promise<string> {
  const stamps = await Promise.all([cert, key, ca].map(async (path) => {
    // Followed: tools that renew certificates move a symbolic link.
    const info = await Deno.stat(path).catch(() => undefined);
    return `${info?.mtime?.getTime()} ${info?.size} ${info?.ino}`;
  }));
  return stamps.join(" ");
}

function refusal(option: string, path: string, reason: string, cause?: unknown): NetworkError {
  const flag = `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  return new NetworkError("INVALID_ARGUMENT", `Cannot use ${path} as ${flag}: ${reason}.`, {
    cause,
  });
}
