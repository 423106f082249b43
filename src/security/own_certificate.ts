/** What is wrong with a certificate that others have issued, before a peer refuses it. */

import type { X509Certificate } from "node:crypto";
import type { TrustProblem } from "./trust.ts";

/** At least one; of a node the first is its own. */
export type Certificates = readonly [X509Certificate, ...X509Certificate[]];

const DAY_MS = 24 * 60 * 60 * 1_000;
/** How long before its end a certificate is complained of: time to renew it by hand. */
const SOON_MS = 7 * DAY_MS;

/**
 * What keeps others from believing a certificate, or soon will.
 *
 * @param chain The node's own certificate, and those that may stand between it and an authority.
 * @param authorities Those that are believed.
 * @param files Where both were read, for people.
 * @param now In milliseconds since 1970.
 */
export function certificateProblems(
  chain: Certificates,
  authorities: Certificates,
  files: { readonly cert: string; readonly ca: string },
  now: number,
): TrustProblem[] {
  const { path, isIssued } = pathOf(chain, authorities);
  const found = path.flatMap((one) => timeProblem(one, files.cert, now) ?? []);
  if (isIssued) return found;
  return [...found, {
    severity: "warning",
    message:
      `no authority in ${files.ca} has issued the certificate in ${files.cert}: nodes with ` +
      "the same --tls-ca refuse this one",
    mend: "let that authority issue it; what stands between the two belongs into --tls-cert",
  }];
}

/** The certificates from the node's own up to below an authority, as far as there are any. */
function pathOf(
  [leaf, ...others]: Certificates,
  authorities: Certificates,
): { path: X509Certificate[]; isIssued: boolean } {
  const path = [leaf];
  for (;;) {
    const last = path[path.length - 1];
    const hasIssued = (one: X509Certificate) => last.checkIssued(one) && isSignedBy(last, one);
    if (authorities.some(hasIssued)) return { path, isIssued: true };
    const issuer = others.find((one) => !path.includes(one) && hasIssued(one));
    if (issuer === undefined) return { path, isIssued: false };
    path.push(issuer);
  }
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    // By a way that is unknown here; TLS may know it.
    return true;
  }
}

function timeProblem(
  { validFrom, validTo, subject }: X509Certificate,
  file: string,
  now: number,
): TrustProblem | undefined {
  // One may have names by extension alone; the types do not know.
  const name = (subject as string | undefined)?.replaceAll("\n", ", ");
  const what = `the certificate${name === undefined ? "" : ` of ${name}`} in ${file}`;
  const renew = "renew it; the file is read again without a restart";
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (now < from) {
    return {
      severity: "error",
      message: `${what} is not valid before ${iso(from)}: others refuse it`,
      mend: "look whether this machine's clock is right; if it is, issue the certificate anew",
    };
  }
  if (now > to) {
    const message = `${what} has expired on ${iso(to)}: others refuse it`;
    return { severity: "error", message, mend: renew };
  }
  if (now > to - SOON_MS) {
    const message = `${what} expires on ${iso(to)}: others will refuse it from then on`;
    return { severity: "warning", message, mend: renew };
  }
  return undefined;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

/**
 * Whether it is of X.509 version 3. Its version is the first thing in it, under a tag of its own;
 * version 1, the default, is left out (RFC 5280, section 4.1).
 */
export function isVersion3({ raw }: X509Certificate): boolean {
  // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] { INTEGER 2 }, …
  const start = afterHeader(raw, afterHeader(raw, 0));
  return raw.subarray(start, start + 5).toString("hex") === "a003020102";
}

/** Where the content of the DER value at `offset` begins. */
function afterHeader(der: Uint8Array, offset: number): number {
  const length = der[offset + 1];
  return offset + 2 + (length < 0x80 ? 0 : length & 0x7f);
}
