/** Joining by an invite, over real sockets: who knows the secret gets the keyring, once. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { systemClock } from "../../src/base/clock.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import type { FrameListener } from "../../src/link/frame_stream.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import { type InviteCode, joinByInvite, joiningPort } from "../../src/link/joining.ts";
import tls from "node:tls";
import { NodeIdentity } from "../../src/security/identity.ts";
import {
  INVITE_BYTES,
  INVITE_FOR_MS,
  inviteAuthority,
  Invites,
} from "../../src/security/invites.ts";
import { encodeKeyring, type Keyring, newKeyring } from "../../src/security/keyring.ts";
import { eventually } from "../support/eventually.ts";
import { WatchedClock } from "../support/watched_clock.ts";
import { recordingLogger } from "../support/recording_logger.ts";

class Inviter implements AsyncDisposable {
  readonly ring = newKeyring("home");
  readonly identity = NodeIdentity.create();
  readonly clock = new ManualClock();
  readonly log = recordingLogger();
  readonly invites = new Invites(this.clock, this.identity, "inviter");
  #listener: FrameListener | undefined;

  async listen(): Promise<void> {
    const credentials = [await this.identity.credentials(this.ring.keys[0].key, "inviter")];
    const transport = grpcTransport({
      security: {
        credentials: () => credentials,
        verifiesPeers: true,
        admits: () => true,
        joining: joiningPort({
          invites: this.invites,
          handout: () => encodeKeyring(this.ring),
          clock: systemClock,
          logger: this.log.logger,
        }),
      },
    });
    this.#listener = await transport.listen({ host: "127.0.0.1", port: 0 }, () => {
      throw new Error("Who joins gets no link.");
    });
  }

  async code(): Promise<InviteCode> {
    return {
      secret: await this.invites.make(),
      fingerprint: Buffer.from(this.identity.id, "hex").subarray(0, 16),
      addresses: [this.#listener!.address],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.close();
  }
}

async function inviter(): Promise<Inviter> {
  const made = new Inviter();
  await made.listen();
  return made;
}

function join(
  code: InviteCode,
  keep: (ring: Keyring) => Promise<void> = () => Promise.resolve(),
): Promise<Keyring> {
  const { signal } = new AbortController();
  return joinByInvite(code, { name: "joiner", keep, clock: systemClock, signal });
}

async function refusal(code: InviteCode): Promise<string> {
  const error = await assertRejects(() => join(code), NetworkError);
  assertEquals(error.code, "PERMISSION_DENIED");
  assertStringIncludes(error.message, "hanzo-network invite");
  return error.message;
}

Deno.test("who has an invite is handed the keyring, and keeps it before the invite is used up", async () => {
  await using home = await inviter();
  const code = await home.code();
  const kept: string[] = [];
  const ring = await join(code, (ring) => {
    kept.push(encodeKeyring(ring));
    return Promise.resolve();
  });
  assertEquals(encodeKeyring(ring), encodeKeyring(home.ring));
  assertEquals(kept, [encodeKeyring(home.ring)]);
  assertEquals(home.log.lines("info"), ['"joiner" at 127.0.0.1 has joined by an invite']);
});

Deno.test("an invite is good for one device, and says so to the next", async () => {
  await using home = await inviter();
  const code = await home.code();
  await join(code);
  assertStringIncludes(await refusal(code), "has been used");
  await join(await home.code());
});

Deno.test("a device that could not keep the keyring leaves the invite to nobody else", async () => {
  await using home = await inviter();
  const code = await home.code();
  const full = new NetworkError("RESOURCE_EXHAUSTED", "Cannot write: the disk is full.");
  const error = await assertRejects(() => join(code, () => Promise.reject(full)), NetworkError);
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
  assertStringIncludes(await refusal(code), "has been used");
});

Deno.test("an invite is good for ten minutes and known for a day, and then as strange as any", async () => {
  await using home = await inviter();
  const [early, late] = [await home.code(), await home.code()];
  await home.clock.advance(INVITE_FOR_MS - 1);
  await join(early);
  await home.clock.advance(1);
  assertStringIncludes(await refusal(late), "has expired");
  await home.clock.advance(24 * 60 * 60 * 1_000);
  // What is over for a day makes room when the next one is made.
  await home.code();
  assertStringIncludes(await refusal(late), "does not know this code");
});

Deno.test("a code of another network, and one with a wrong secret, are not known", async () => {
  await using home = await inviter();
  await using other = await inviter();
  const code = await home.code();
  const { addresses } = await other.code();
  assertStringIncludes(await refusal({ ...code, addresses }), "does not know this code");
  const secret = crypto.getRandomValues(new Uint8Array(INVITE_BYTES));
  assertStringIncludes(await refusal({ ...code, secret }), "does not know this code");
  await join(code);
});

Deno.test("who knows the secret and is not the inviter gets nothing and gives nothing", async () => {
  await using home = await inviter();
  const code = await home.code();
  const error = await assertRejects(
    () => join({ ...code, fingerprint: new Uint8Array(16) }),
    NetworkError,
  );
  assertStringIncludes(error.message, "is not the device that showed the code");
  // It was not used by that.
  await join(code);
});

Deno.test("an inviter that nothing answers for is given up after five seconds, with what to look at", async () => {
  // The system answers two, and lets the others wait for ever.
  using deaf = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { port } = deaf.addr;
  using _one = await Deno.connect({ hostname: "127.0.0.1", port });
  using _two = await Deno.connect({ hostname: "127.0.0.1", port });
  await using home = await inviter();
  const code = { ...await home.code(), addresses: [{ host: "127.0.0.1", port }] };
  const clock = new WatchedClock();
  const { signal } = new AbortController();
  const joining = joinByInvite(code, { name: "j", keep: () => Promise.resolve(), clock, signal });
  const failure = assertRejects(() => joining, NetworkError);
  await eventually(() => clock.pending > 0, { what: "the dial" });
  await clock.advance(5_000);
  const error = await failure;
  assertEquals(error.code, "UNAVAILABLE");
  assertStringIncludes(error.message, `does its firewall let TCP port ${port} through?`);
  assertEquals(clock.pending, 0);
});

Deno.test("who has a used invite cannot make the inviter keep what it sends, nor stay in numbers", async () => {
  await using home = await inviter();
  const code = await home.code();
  await join(code);
  const shown = await NodeIdentity.create().certified(inviteAuthority(code.secret, "thief"));
  const [{ host, port }] = code.addresses;
  const come = async () => {
    const socket = tls.connect({
      host,
      port,
      servername: shown.serverName,
      ca: shown.authority,
      cert: shown.certificate,
      key: shown.privateKey,
      checkServerIdentity: () => undefined,
    });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    return socket.on("error", () => {}).resume();
  };
  const talker = await come();
  talker.write("x".repeat(65));
  await eventually(() => talker.closed, { what: "the end of who says too much" });
  const crowd: Awaited<ReturnType<typeof come>>[] = [];
  for (let i = 0; i < 6; i++) crowd.push(await come());
  // The oldest go; four may stay for as long as a join takes.
  await eventually(() => crowd[0].closed && crowd[1].closed, { what: "the end of two" });
  assertEquals(crowd.filter(({ closed }) => !closed).length, 4);
  await join(await home.code());
  for (const socket of crowd) socket.destroy();
});

Deno.test("of several addresses the one that answers is used", async () => {
  await using home = await inviter();
  const code = await home.code();
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const nobody = { host: "127.0.0.1", port: closed.addr.port };
  closed.close();
  await join({ ...code, addresses: [nobody, ...code.addresses] });
  const error = await assertRejects(
    async () => await join({ ...await home.code(), addresses: [nobody] }),
    NetworkError,
  );
  assertEquals(error.code, "UNAVAILABLE");
  assert(error.message.includes("refused"), error.message);
});
