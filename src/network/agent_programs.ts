/** Programs on this machine that serve agents: what they offer now is offered by this node. */

import type { Agent } from "../agents/agent.ts";
import { type CancelTimer, type Clock, doneWithin } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { AgentProgram } from "../link/agent_program.ts";
import { type Address, formatAddress } from "../link/frame_stream.ts";
import { programAgent } from "./program_agent.ts";

/** What they are made of. */
export interface AgentProgramsNeeds {
  readonly addresses: readonly Address[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** What this node can run, by name: theirs are put here, and taken away. */
  readonly agents: Map<string, Agent>;
  /**
   * Tells the network what this node can run now.
   *
   * @throws {NetworkError} When that is more than peers take; nothing is told then.
   */
  readonly offer: () => void;
  /** The program at an address. */
  readonly connect: (address: Address) => Promise<Pick<AgentProgram, keyof AgentProgram>>;
}

/** Between two looks at a program that is not there, and at one that is. */
const ABSENT_MS = 1_000;
const PRESENT_MS = 5_000;
/** How long the start waits for those that are there already. */
const PATIENCE_MS = 500;

/** See the top of the file. */
export class AgentPrograms {
  readonly #needs: AgentProgramsNeeds;
  readonly #watched: WatchedProgram[];

  constructor(needs: AgentProgramsNeeds) {
    this.#needs = needs;
    this.#watched = needs.addresses.map((address) => new WatchedProgram(needs, address));
  }

  /** Looks for them from now on; resolves when the first look is done, or takes too long. */
  async start(): Promise<void> {
    const first = Promise.all(this.#watched.map((one) => one.look()));
    if (this.#watched.length > 0) await doneWithin(this.#needs.clock, PATIENCE_MS, first);
  }

  /** Ends what runs there, and looks no more; idempotent. */
  stop(): void {
    for (const one of this.#watched) one.stop();
  }
}

class WatchedProgram {
  readonly #needs: AgentProgramsNeeds;
  readonly #address: Address;
  #program: Pick<AgentProgram, keyof AgentProgram> | undefined;
  /** What of it is offered, by name, and as it was told. */
  readonly #offered = new Map<string, { agent: Agent; told: string }>();
  #cancelLook: CancelTimer = () => {};
  #looking: Promise<void> | undefined;
  /** What was last said of it in the log, so that it is said once. */
  #said: string | undefined;
  #isWatched = false;
  #isStopped = false;

  constructor(needs: AgentProgramsNeeds, address: Address) {
    this.#needs = needs;
    this.#address = address;
  }

  look(): Promise<void> {
    this.#cancelLook();
    return this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#isStopped) return;
      const afterMs = this.#offered.size > 0 ? PRESENT_MS : ABSENT_MS;
      this.#cancelLook = this.#needs.clock.after(afterMs, () => void this.look());
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelLook();
    this.#program?.close();
  }

  async #look(): Promise<void> {
    const name = formatAddress(this.#address);
    try {
      const program = this.#program ??= await this.#needs.connect(this.#address);
      if (this.#isStopped) return program.close();
      const list = await program.list();
      if (this.#isStopped) return;
      const refused = this.#take(list, program);
      const names = [...this.#offered.keys()].join(", ");
      if (refused !== "") this.#say("warn", `The program at ${name}: ${refused}`);
      else this.#say("info", `The program at ${name} serves ${names || "no agents"}`);
      if (!this.#isWatched) program.onceBroken(() => void this.#broken());
      this.#isWatched = true;
    } catch (thrown) {
      if (this.#isStopped) return;
      const error = NetworkError.from(thrown);
      const names = [...this.#offered.keys()].join(", ");
      this.#drop();
      this.#say(
        "warn",
        names === ""
          ? `The program at ${name} serves no agents yet: ${describeError(error)}`
          : `The program at ${name} is gone, and with it ${names}: ${describeError(error)}`,
      );
    }
  }

  /** At once: nobody is to be sent there in vain. */
  async #broken(): Promise<void> {
    this.#isWatched = false;
    await this.#looking;
    if (!this.#isStopped) await this.look();
  }

  /**
   * Offers what it has now.
   *
   * @returns What is not offered and why; empty when all is.
   */
  #take(
    list: Awaited<ReturnType<AgentProgram["list"]>>,
    program: Pick<AgentProgram, keyof AgentProgram>,
  ): string {
    const { agents, offer } = this.#needs;
    const before = new Map(this.#offered);
    const taken = list.filter(({ name }) => agents.has(name) && !before.has(name));
    const own = list.filter((one) => !taken.includes(one));
    const isSame = own.length === before.size &&
      own.every((one) => before.get(one.name)?.told === JSON.stringify(one));
    const refused = taken.length === 0
      ? ""
      : `${taken.map(({ name }) => `"${name}"`).join(", ")} not offered, because this node has ` +
        "agents of that name already. Rename them there";
    if (isSame) return refused;
    this.#forget();
    for (const one of own) {
      const agent = programAgent(one, (asked, signal) => program.run(asked, signal));
      this.#offered.set(one.name, { agent, told: JSON.stringify(one) });
      agents.set(one.name, agent);
    }
    try {
      offer();
      return refused;
    } catch (thrown) {
      this.#drop();
      return `none of its agents is offered: ${describeError(thrown)}`;
    }
  }

  #drop(): void {
    if (this.#offered.size === 0) return;
    this.#forget();
    this.#needs.offer();
  }

  #forget(): void {
    for (const name of this.#offered.keys()) this.#needs.agents.delete(name);
    this.#offered.clear();
  }

  #say(level: "info" | "warn", text: string): void {
    if (text === this.#said) return;
    this.#said = text;
    this.#needs.logger[level]("{text}", { text });
  }
}
