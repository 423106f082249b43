/** The hosts of a LAN, and that each fault does what its name says and no more. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { eventually } from "./eventually.ts";
import { Lan, lanUnavailable } from "./lan.ts";
import { skipUnless } from "./skip.ts";

const unavailable = await lanUnavailable();
const ignore = skipUnless(unavailable === undefined, `hosts on a LAN: ${unavailable}`);

/** The broadcast address of the first network. */
const BROADCAST = "10.77.15.255";

/** Broadcasts its name and the time every two milliseconds; prints what it sends and hears. */
const SINGER = `
  import { createSocket } from "node:dgram";
  const [name, broadcast] = Deno.args;
  const socket = createSocket("udp4");
  socket.on("message", (text) => String(text).startsWith(name + " ") || console.log(String(text)));
  socket.bind(5000, () => {
    socket.setBroadcast(true);
    setInterval(() => {
      const beacon = name + " " + (performance.timeOrigin + performance.now());
      console.log(beacon);
      socket.send(beacon, 5000, broadcast, () => {});
    }, 2);
  });
`;

/** Hosts that broadcast on the first network, and what each has heard of whom. */
class Choir {
  readonly lan: Lan;
  readonly #hosts: readonly string[];
  /** When what was sent that a host has heard: `heard.get("a>b")` is a's, heard by b. */
  readonly #heard = new Map<string, number[]>();

  private constructor(lan: Lan, hosts: readonly string[]) {
    this.lan = lan;
    this.#hosts = hosts;
  }

  /** Starts them, and resolves when everybody hears everybody. */
  static async of(lan: Lan, ...hosts: string[]): Promise<Choir> {
    const choir = new Choir(lan, hosts);
    for (const host of hosts) {
      const args = ["eval", "--no-config", SINGER, host, BROADCAST];
      void choir.#listen(host, lan.start(host, Deno.execPath(), args).lines());
    }
    await choir.#allHear(now());
    return choir;
  }

  /**
   * Which share of a host's beacons another one heard while there was a fault, by
   * `singer>listener`; those of which nothing was heard are left out.
   */
  async during(
    { fault, mend = () => this.lan.heal(), beacons = 50 }: {
      fault: () => Promise<unknown>;
      mend?: () => Promise<unknown>;
      beacons?: number;
    },
  ): Promise<Map<string, number>> {
    await fault();
    const begin = now();
    await eventually(
      () => this.#hosts.every((host) => this.#count(`${host}>${host}`, begin) >= beacons),
      { what: `${beacons} beacons of everybody` },
    );
    const end = now();
    await mend();
    // A listener that hears what was sent later has printed all that it heard before.
    await this.#allHear(now());
    const shares = this.#pairs().map(([singer, listener]): [string, number] => {
      const sent = this.#count(`${singer}>${singer}`, begin, end);
      return [`${singer}>${listener}`, this.#count(`${singer}>${listener}`, begin, end) / sent];
    });
    return new Map(shares.filter(([, share]) => share > 0));
  }

  async #listen(listener: string, lines: AsyncIterable<string>): Promise<void> {
    for await (const line of lines) {
      const [singer, sentAt] = line.split(" ");
      this.#heard.getOrInsertComputed(`${singer}>${listener}`, () => []).push(Number(sentAt));
    }
  }

  async #allHear(since: number): Promise<void> {
    for (const [singer, listener] of this.#pairs()) {
      await eventually(() => this.#count(`${singer}>${listener}`, since) > 0, {
        what: `${listener} hearing ${singer}`,
      });
    }
  }

  #pairs(): [singer: string, listener: string][] {
    return this.#hosts.flatMap((singer) =>
      this.#hosts.filter((host) => host !== singer)
        .map((listener): [string, string] => [singer, listener])
    );
  }

  #count(pair: string, since: number, until = Infinity): number {
    return this.#heard.get(pair)?.filter((at) => at > since && at < until).length ?? 0;
  }
}

/** The clock of the singers: one for all of this machine. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** What a command in a host prints. */
async function ask(lan: Lan, host: string, ...command: string[]): Promise<string> {
  await using process = lan.start(host, command[0], command.slice(1));
  return (await Array.fromAsync(process.lines())).join("\n");
}

Deno.test({
  name: "hosts meet on a network that is no /24, without a default route, unseen from outside",
  ignore,
  fn: async () => {
    const outside = Deno.networkInterfaces().map(({ name }) => name);
    await using lan = await Lan.of("a", "b");
    await Choir.of(lan, "a", "b");

    const [a, b] = ["a", "b"].map((host) => lan.address(host).split("."));
    assertNotEquals(a.slice(0, 3), b.slice(0, 3), "they are in one /24");
    assertEquals(await ask(lan, "a", "ip", "route", "show", "default"), "");
    assertEquals(Deno.networkInterfaces().map(({ name }) => name), outside);
  },
});

Deno.test({
  name: "one-way drops and partitions let through what they do not concern",
  ignore,
  fn: async () => {
    await using lan = await Lan.of("a", "b", "c");
    const choir = await Choir.of(lan, "a", "b", "c");
    const heardDuring = async (
      fault: () => Promise<void>,
    ) => [...(await choir.during({ fault })).keys()];

    assertEquals(await heardDuring(() => lan.heal()), ["a>b", "a>c", "b>a", "b>c", "c>a", "c>b"]);
    assertEquals(await heardDuring(() => lan.dropInbound("b")), ["a>c", "b>a", "b>c", "c>a"]);
    assertEquals(await heardDuring(() => lan.dropOutbound("b")), ["a>b", "a>c", "c>a", "c>b"]);
    assertEquals(await heardDuring(() => lan.partition(["a"], ["b", "c"])), ["b>c", "c>b"]);
    assertEquals(await heardDuring(() => lan.partition(["b"])), ["a>c", "c>a"]);
    const both = () => Promise.all([lan.dropInbound("a"), lan.dropOutbound("b")]).then(() => {});
    assertEquals(await heardDuring(both), ["a>b", "a>c", "c>b"]);
  },
});

Deno.test({
  name: "a loss takes its share of the packets, once where both ends lose",
  ignore,
  fn: async () => {
    await using lan = await Lan.of("a", "b", "c");
    const choir = await Choir.of(lan, "a", "b", "c");
    const lossy = () => Promise.all([lan.loss("a", 30), lan.loss("b", 30)]);

    const heard = await choir.during({ fault: lossy, beacons: 400 });

    // 70 % of 400 or more: the deviation of the mean is 2.3 %, and 49 % would be lost twice.
    for (const pair of ["a>b", "b>a", "a>c", "c>a", "b>c", "c>b"]) {
      assertGreater(heard.get(pair) ?? 0, 0.6, pair);
      assertLess(heard.get(pair) ?? 1, 0.8, pair);
    }
  },
});

Deno.test({
  name: "a pulled cable and an interface that is off silence a host, and it keeps its address",
  ignore,
  fn: async () => {
    await using lan = await Lan.of("a", "b", "c");
    const choir = await Choir.of(lan, "a", "b", "c");
    const address = lan.address("b");
    const show = () => ask(lan, "b", "ip", "-oneline", "-family", "inet", "addr", "show", "eth0");

    let shown = "";
    const unplugged = await choir.during({
      fault: () => lan.unplug("b").then(async () => shown = await show()),
      mend: () => lan.plug("b"),
    });
    assertEquals([...unplugged.keys()], ["a>c", "c>a"]);
    assert(shown.includes(`${address}/20`), shown);

    const off = await choir.during({
      fault: () => lan.linkDown("b").then(async () => shown = await show()),
      mend: () => lan.linkUp("b"),
    });
    assertEquals([...off.keys()], ["a>c", "c>a"]);
    assert(shown.includes(`${address}/20`), shown);
  },
});

Deno.test({
  name: "a host that changes its address is heard from the new one",
  ignore,
  fn: async () => {
    await using lan = await Lan.of("a", "b");
    const choir = await Choir.of(lan, "a", "b");
    const before = lan.address("b");

    const heard = await choir.during({ fault: () => lan.changeAddress("b") });

    assertEquals([...heard.keys()], ["a>b", "b>a"]);
    const after = lan.address("b");
    const shown = await ask(lan, "b", "ip", "-oneline", "addr", "show", "eth0");
    assert(before !== after && shown.includes(`${after}/20`), shown);
    assert(!shown.includes(before), shown);
  },
});

Deno.test({
  name: "a host on two networks has an interface and an address on each",
  ignore,
  fn: async () => {
    await using lan = await Lan.of();
    await lan.addHost("a", [0]);
    await lan.connect("a", 1);
    await lan.addHost("b", [1]);

    const shown = await ask(lan, "a", "ip", "-brief", "-family", "inet", "addr");
    assertEquals(shown.match(/eth\d|10\.[\d./]+/g), [
      "eth0",
      `${lan.address("a", 0)}/20`,
      "eth1",
      `${lan.address("a", 1)}/20`,
    ]);
    await assertRejects(() => lan.unplug("b", 0), Error, "Host b is not on network 0.");
    await assertRejects(() => lan.addHost("a"), Error, 'Cannot add host "a"');
  },
});

Deno.test({
  name: "signals reach a process of a host, and it is gone with the LAN, and the LAN with it",
  ignore,
  fn: async () => {
    let pids: number[];
    {
      await using lan = await Lan.of("a");
      const shell = lan.start("a", "sh", ["-c", "echo $$; sleep 1000 & echo $!; wait"]);
      pids = await Promise.all([0, 1].map(async (index) => {
        let line = 0;
        return Number(await shell.waitForLine(() => line++ === index, { what: `pid ${index}` }));
      }));
      assertEquals(pids[0], shell.pid);
      shell.kill("SIGSTOP");
      await eventually(() => stateOf(shell.pid) === "T", { what: "a stopped process" });
      shell.kill("SIGCONT");
    }
    assertEquals(namespacesOf(Deno.pid), []);
    // The child of the child, too.
    for (const pid of pids) {
      await eventually(() => stateOf(pid) === undefined, { what: `the end of ${pid}` });
    }
  },
});

Deno.test({
  name: "the LAN of a process that was killed is removed when the next one is made",
  ignore,
  fn: async () => {
    const source = `
      import { Lan } from ${JSON.stringify(import.meta.resolve("./lan.ts"))};
      const lan = await Lan.of("a");
      lan.start("a", "sleep", ["1000"]);
      console.log("made");
      setInterval(() => {}, 1000);
    `;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", source],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    assertEquals(namespacesOf(child.pid).length, 2);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();

    await using _lan = await Lan.of();

    assertEquals(namespacesOf(child.pid), []);
  },
});

/** The state of a process, as Linux abbreviates it; undefined for one that has ended. */
function stateOf(pid: number): string | undefined {
  try {
    const state = /^State:\t(\w)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
    return state === "Z" ? undefined : state;
  } catch {
    return undefined;
  }
}

function namespacesOf(pid: number): string[] {
  return [...Deno.readDirSync("/run/netns")].map(({ name }) => name)
    .filter((name) => name.startsWith(`hanzo-lan-${pid}-`));
}
