/** The models that one run asks: found by the network, stopped with the run, counted. */

import { NetworkError } from "../base/errors.ts";
import { chatModel, type ModelCall, type ModelReply } from "./models/chat_model.ts";
import type { AgentUsage, Model, ModelAnswer, ModelRequest } from "./models/model.ts";
import { DEFAULT_MODEL, isModelName } from "./models/model_name.ts";
import { NO_USAGE, withCall } from "./models/usage.ts";

/** Carries what an agent asks a model, wherever that is, and its answer back. */
export type AskModel = (model: string, call: ModelCall) => Promise<ModelReply>;

/** What they need of their run. */
export interface RunModelsNeeds {
  /** The agent that runs. */
  readonly agent: string;
  /** Undefined where there is no network. */
  readonly askModel: AskModel | undefined;
  /** Aborts when the run is cancelled, or has ended. */
  readonly signal: () => AbortSignal;
  /** @throws {NetworkError} When the run has ended: `model "m"` is not to be asked any more. */
  readonly throwIfOver: (asked: string) => void;
}

/**
 * A model, by its name; nothing is asked before `generate`.
 *
 * @param asker Who asks: `agent "a"`.
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is none, `FAILED_PRECONDITION` without a network.
 */
export function modelByName(
  name: unknown = DEFAULT_MODEL,
  askModel: AskModel | undefined,
  asker: string,
): Model {
  if (!isModelName(name)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot ask model ${JSON.stringify(name) ?? typeof name}: expected a name. Try: ` +
        "hanzo-network models",
    );
  }
  if (askModel === undefined) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot ask model "${name}": ${asker} runs in no network that has models. Run it ` +
        "with createDistributedNetwork, or give it a model of its own, such as " +
        "createOpenAiModel makes.",
    );
  }
  const send = (call: ModelCall) => askModel(name, call);
  return chatModel({ name, send, action: `Cannot ask model "${name}"` });
}

/** See the top of the file. */
export class RunModels {
  readonly #needs: RunModelsNeeds;
  #usage: AgentUsage | undefined;

  constructor(needs: RunModelsNeeds) {
    this.#needs = needs;
  }

  /** What they took so far; undefined when none has answered. */
  get usage(): AgentUsage | undefined {
    return this.#usage;
  }

  /**
   * A model, by its name.
   *
   * @throws {NetworkError} As {@linkcode modelByName}.
   */
  model(asked: unknown): Model {
    const { agent, askModel } = this.#needs;
    const model = modelByName(asked, askModel, `agent "${agent}"`);
    const { name } = model;
    const generate = (request: ModelRequest) => {
      const answer = this.#generate(model, request);
      // An agent that did not wait for its model must not end the process by its failure.
      answer.catch(() => {});
      return answer;
    };
    return Object.freeze({ name, generate });
  }

  async #generate(model: Model, request: ModelRequest): Promise<ModelAnswer> {
    this.#needs.throwIfOver(`model "${model.name}"`);
    const signals = [this.#needs.signal()];
    if (request.signal !== undefined) signals.push(request.signal);
    const answer = await model.generate({ ...request, signal: AbortSignal.any(signals) });
    this.#usage = withCall(this.#usage ?? NO_USAGE, answer.usage);
    return answer;
  }
}
