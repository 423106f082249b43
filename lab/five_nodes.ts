/**
 * Five nodes on five hosts, which experiments may maltreat.
 *
 * @module
 */

import { type Fleet, type FleetNode, NotInTime } from "../tests/support/lan_fleet.ts";

/** The hosts, each with a node of the same name. */
export const HOSTS = ["A", "B", "C", "D", "E"];

/** What runs on the hosts: our program, or the least that could. */
export type Program = "ours" | "bare";

/** By then nodes that will ever see each other do so. */
const SETTLED_MS = 20_000;

const BARE_NODE = new URL("bare_node.ts", import.meta.url).pathname;

/** See the top of the file. */
export class FiveNodes {
  readonly fleet: Fleet;
  readonly program: Program;
  #nodes: FleetNode[] = [];

  constructor(fleet: Fleet, program: Program) {
    this.fleet = fleet;
    this.program = program;
  }

  /** Ends what runs and starts all five at once; resolves when the last one is ready. */
  async startAnew(): Promise<FleetNode[]> {
    await this.stop();
    return this.#nodes = await Promise.all(HOSTS.map((host) => this.#start(host)));
  }

  /** All five, seeing each other, with those started again that were killed. */
  async settled(): Promise<FleetNode[]> {
    const missing = HOSTS.filter((host) => this.#nodes.every((node) => node.host !== host));
    if (missing.length === HOSTS.length) await this.startAnew();
    else this.#nodes.push(...await Promise.all(missing.map((host) => this.#start(host))));
    try {
      await this.fleet.untilAllSeeAll(this.#nodes, SETTLED_MS);
    } catch (error) {
      // What an experiment has left behind is not to spoil the next one.
      if (!(error instanceof NotInTime)) throw error;
      await this.fleet.untilAllSeeAll(await this.startAnew(), SETTLED_MS);
    }
    return [...this.#nodes];
  }

  /** Kills a node at once and returns the others. */
  kill(victim: FleetNode): FleetNode[] {
    victim.process.kill("SIGKILL");
    return this.#nodes = this.#nodes.filter((node) => node !== victim);
  }

  /** Ends all nodes. */
  async stop(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map((node) => node[Symbol.asyncDispose]()));
  }

  #start(host: string): Promise<FleetNode> {
    if (this.program === "ours") return this.fleet.up(host);
    const { lan } = this.fleet;
    const args = [host, lan.address(host), lan.broadcastAddress()];
    return this.fleet.start(host, host, ["run", "--quiet", "--allow-all", BARE_NODE, ...args]);
  }
}
