/** The models that the routers of one run ask: within the time of a choice, and counted. */

import type { AgentUsage, Model, ModelRequest } from "../models/model.ts";
import { NO_USAGE, withCall } from "../models/usage.ts";

/** Finds a model by its name; without one the best that there is. */
export type FindModel = (name?: string) => Model;

/** See the top of the file. */
export class RouterModels {
  readonly #find: FindModel;
  #usage: AgentUsage | undefined;

  constructor(find: FindModel) {
    this.#find = find;
  }

  /** What they took so far; undefined when none has answered. */
  get usage(): AgentUsage | undefined {
    return this.#usage;
  }

  /** As a router gets them for one choice, which is over when `signal` aborts; its own ones, too. */
  within(signal: AbortSignal): (model?: string | Model) => Model {
    return (asked) => {
      // What is neither a model nor a name is refused as no name.
      const isModel = typeof (asked as Model | null)?.generate === "function";
      const model = isModel ? asked as Model : this.#find(asked as string | undefined);
      const generate = async (request: ModelRequest) => {
        const both = request.signal ? AbortSignal.any([signal, request.signal]) : signal;
        const answer = await model.generate({ ...request, signal: both });
        this.#usage = withCall(this.#usage ?? NO_USAGE, answer.usage);
        return answer;
      };
      return Object.freeze({ name: model.name, generate });
    };
  }
}
