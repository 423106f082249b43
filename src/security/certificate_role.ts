/**
 * What a certificate is good for, as the authority has signed it: to be a node, which calls and is
 * called, or only to call. Node's X509Certificate tells that in `keyUsage`, which Deno 2.9.6 leaves
 * empty.
 */

/** A `client` calls and never is a peer. */
export type CertificateRole = "node" | "client";

// DER, of what certificates need (ITU-T X.690).
const SEQUENCE = 0x30;
const OBJECT_ID = 0x06;
const OCTET_STRING = 0x04;
/** The field of a certificate that holds its extensions (RFC 5280, 4.1). */
const EXTENSIONS = 0xa3;
/** 2.5.29.37 (RFC 5280, 4.2.1.12). */
const EXTENDED_KEY_USAGE = "551d25";
/** 1.3.6.1.5.5.7.3.1, and 2.5.29.37.0, which is any. */
const SERVER_USAGES: ReadonlySet<string> = new Set(["2b06010505070301", "551d2500"]);

interface Value {
  readonly tag: number;
  readonly content: Uint8Array;
}

/**
 * The role of who shows a certificate. One that names no usages is good for all; one that names
 * some, and a server's is not among them, only for calling. TLS has read and believed it before:
 * what cannot be read here all the same has the least rights.
 *
 * @param certificate As DER.
 */
export function certificateRole(certificate: Uint8Array): CertificateRole {
  try {
    const usages = extendedKeyUsages(certificate);
    return usages === undefined || usages.some((one) => SERVER_USAGES.has(one)) ? "node" : "client";
  } catch {
    return "client";
  }
}

/** As hexadecimal digits of their identifiers; undefined where none are named. */
function extendedKeyUsages(certificate: Uint8Array): string[] | undefined {
  const [whole] = valuesIn(certificate);
  const [signed] = valuesIn(contentOf(whole, SEQUENCE));
  const field = valuesIn(contentOf(signed, SEQUENCE)).find(({ tag }) => tag === EXTENSIONS);
  if (field === undefined) return undefined;
  const [list] = valuesIn(field.content);
  for (const extension of valuesIn(contentOf(list, SEQUENCE))) {
    // Its identifier, whether it is critical, what it says.
    const parts = valuesIn(contentOf(extension, SEQUENCE));
    if (hex(contentOf(parts[0], OBJECT_ID)) !== EXTENDED_KEY_USAGE) continue;
    const [usages] = valuesIn(contentOf(parts[parts.length - 1], OCTET_STRING));
    return valuesIn(contentOf(usages, SEQUENCE)).map((one) => hex(contentOf(one, OBJECT_ID)));
  }
  return undefined;
}

function contentOf(value: Value | undefined, tag: number): Uint8Array {
  if (value?.tag !== tag) throw new TypeError("Another kind of value was expected.");
  return value.content;
}

/** The values that stand one after the other in `bytes`. */
function valuesIn(bytes: Uint8Array): Value[] {
  const values: Value[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++];
    let length = bytes[at++];
    if (length > 0x80) {
      const more = length & 0x7f;
      length = bytes.subarray(at, at + more).reduce((sum, one) => sum * 256 + one, 0);
      at += more;
    } else if (length === 0x80) throw new TypeError("DER has no open ends.");
    if (!(at + length <= bytes.length)) throw new TypeError("It ends in the middle.");
    values.push({ tag, content: bytes.subarray(at, at += length) });
  }
  return values;
}

function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}
