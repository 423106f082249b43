/** The loop of a network of agents: choose, call, remember, until nobody is left to be asked. */

import type { Clock } from "../../base/clock.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import { named } from "../../base/named.ts";
import type { AgentAnswer } from "../agent.ts";
import { keptResult, toAgentResult } from "../agent_result.ts";
import type { AgentUsage } from "../models/model.ts";
import { sumOf } from "../models/usage.ts";
import type { EmitRunEvent, NetworkRunResult, RunResult, StoppedBy } from "../run_event.ts";
import type { RunStateStore } from "../run_state_store.ts";
import { type AgentChoice, type AgentRouter, type NextAgent, readChoice } from "./agent_router.ts";
import type { NetworkHooks } from "./network_hooks.ts";
import { type FindModel, RouterModels } from "./router_models.ts";
import type { JournalCall, RunJournal } from "./run_journal.ts";

/** One step of a run: one agent is asked. */
export interface StepCall {
  readonly agent: string;
  readonly prompt: string;
  /** The text beside the prompt; "" if there is none. */
  readonly context: string;
  /** What the agent answers, and only that, changes it. */
  readonly state: RunStateStore;
  /** What is left for it, in milliseconds; Infinity where whoever calls keeps the time. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly emit: EmitRunEvent;
}

/** Runs an agent, wherever it is: the port through which the loop reaches them. */
export type CallStep = (call: StepCall) => Promise<RunResult>;

/** How a network goes from agent to agent. */
export interface AgentLoop {
  /** What errors and events call it. */
  readonly network: string;
  /** The agents that may be chosen, as they are now. */
  readonly agents: () => readonly AgentChoice[];
  /** Who begins; by default the router says it. */
  readonly initialAgent: string | undefined;
  /** Says which of them goes on. */
  readonly router: AgentRouter;
  /** How many steps a run may have. */
  readonly maxIterations: number;
  /** What the program is told meanwhile, and where it may step in. */
  readonly hooks: NetworkHooks;
}

/** One run of it. */
export interface LoopRun {
  readonly prompt: string;
  readonly context: string;
  readonly state: RunStateStore;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly call: CallStep;
  /** Finds the models that its routers ask. */
  readonly model: FindModel;
  readonly emit: EmitRunEvent;
  /** Notes how far it has come; without it the run ends with its process. */
  readonly journal?: RunJournal;
}

/** How long `onError` may take, in milliseconds: the run has ended already. */
const ON_ERROR_LIMIT_MS = 10_000;

/**
 * Runs a network of agents.
 *
 * @throws {NetworkError} What a step failed with, naming it; `AGENT_FAILED` when the router or a hook
 * throws, or the router names an agent that is not there; `DEADLINE_EXCEEDED`; `CANCELLED` when the
 * signal aborts; `INVALID_ARGUMENT` when nobody is to be asked at all.
 */
export function runLoop(loop: AgentLoop, run: LoopRun): Promise<NetworkRunResult> {
  return new Going(loop, run).run();
}

/** A run on its way. */
class Going {
  readonly #loop: AgentLoop;
  readonly #run: LoopRun;
  readonly #startedAt: number;
  readonly #models: RouterModels;
  /** The last answer; undefined before the first one. */
  #last: RunResult | undefined;

  constructor(loop: AgentLoop, run: LoopRun) {
    this.#loop = loop;
    this.#run = run;
    this.#startedAt = run.clock.now();
    this.#models = new RouterModels(run.model);
  }

  async run(): Promise<NetworkRunResult> {
    try {
      return await this.#steps();
    } catch (thrown) {
      const error = NetworkError.from(thrown);
      await this.#tell(error);
      throw error;
    }
  }

  async #steps(): Promise<NetworkRunResult> {
    const { state, clock, emit, journal } = this.#run;
    const { network, hooks, maxIterations } = this.#loop;
    const progress = journal?.progress;
    const prompt = progress?.prompt ?? await this.#begin();
    this.#last = progress?.last && keptResult(progress.last);
    const stepsBefore = progress?.steps ?? 0;
    let attempts = 0;
    let serviceMs = 0;
    let usage: AgentUsage | undefined;
    let stoppedBy: StoppedBy;

    for (let step = stepsBefore + 1;; step++) {
      const again = step === stepsBefore + 1 ? progress?.calling : undefined;
      const next = again ?? await this.#next(step, prompt);
      if (next === undefined || step > maxIterations) {
        stoppedBy = next === undefined ? "router" : "limit";
        break;
      }
      const chosen = again ?? await this.#routed(step, next);
      if (chosen === null) {
        stoppedBy = "hook";
        break;
      }
      await journal?.calling(chosen);
      await emit({ type: "step", network, step, agent: chosen.agent });
      const result = await this.#call(step, chosen.agent, chosen.prompt ?? prompt);
      attempts += result.attempts;
      serviceMs += result.serviceMs;
      usage = sumOf(usage, result.usage);
      const altered = await this.#hook(
        "onResponse",
        () => hooks.onResponse?.({ ...this.#seen, step, result: toAgentResult(result) }),
      );
      const last = this.#last = this.#altered("onResponse", result, altered);
      const kept = toAgentResult(last);
      state.addMessage({ role: "assistant", agent: last.agent, content: last.output });
      state.addResult(kept);
      await journal?.answered(kept);
      await emit({ type: "step-result", network, step, result: kept });
    }

    const last = this.#last;
    if (last === undefined) throw this.#nobody();
    const result = toAgentResult(last);
    const altered = await this.#hook(
      "onFinish",
      () => hooks.onFinish?.({ ...this.#seen, result, stoppedBy }),
    );
    await journal?.ended();
    usage = sumOf(usage, this.#models.usage);
    return {
      ...this.#altered("onFinish", last, altered),
      attempts,
      serviceMs,
      ...(usage && { usage }),
      durationMs: clock.now() - this.#startedAt,
      state,
      stoppedBy,
    };
  }

  /** The prompt, as the hook makes it. */
  async #begin(): Promise<string> {
    const { state, prompt: given, journal } = this.#run;
    const { hooks } = this.#loop;
    const onStart = await this.#hook(
      "onStart",
      () => hooks.onStart?.({ ...this.#seen, prompt: given }),
    );
    const prompt = onStart ?? given;
    if (typeof prompt !== "string") throw this.#nonsense("onStart", "neither a text nor nothing");
    state.addMessage({ role: "user", content: prompt });
    await journal?.begun(prompt);
    return prompt;
  }

  /** The choice, as the hook makes it; null ends the run. */
  async #routed(step: number, next: JournalCall): Promise<JournalCall | null> {
    const { hooks } = this.#loop;
    const changed = await this.#hook(
      "onRoute",
      () => hooks.onRoute?.({ ...this.#seen, step, agent: next.agent }),
    );
    if (changed === null) return null;
    return changed === undefined ? next : this.#read('Hook "onRoute"', changed) ?? next;
  }

  /** Who is to be asked as `step`; undefined when the run is done. */
  async #next(step: number, prompt: string): Promise<JournalCall | undefined> {
    const { initialAgent, router, network } = this.#loop;
    if (step === 1 && initialAgent !== undefined) {
      if (this.#isThere(initialAgent)) return { agent: initialAgent, prompt: undefined };
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot run network "${network}": agent "${initialAgent}" is to begin, and is not there. ` +
          this.#whoIsThere(),
      );
    }
    for (let asked = router;; asked = asked.fallback) {
      try {
        return await this.#ask(asked, step, prompt);
      } catch (thrown) {
        this.#throwIfCancelled();
        if (asked.fallback === undefined) throw thrown;
      }
    }
  }

  async #ask(router: AgentRouter, step: number, prompt: string): Promise<JournalCall | undefined> {
    const { state } = this.#run;
    const who = `Router "${router.name}"`;
    const choice = await this.#limited(who, router.timeoutMs, (signal) =>
      router.choose({
        prompt,
        state,
        agents: this.#loop.agents(),
        // Not the state's: a thread brings the answers of earlier runs.
        lastResult: this.#last && toAgentResult(this.#last),
        callCount: step - 1,
        signal,
        model: this.#models.within(signal),
      }));
    return this.#read(who, choice);
  }

  /** A choice, checked. */
  #read(who: string, choice: NextAgent): JournalCall | undefined {
    const of = `${who} of network "${this.#loop.network}"`;
    let chosen: JournalCall | undefined;
    try {
      chosen = readChoice(choice);
    } catch (thrown) {
      throw NetworkError.from(thrown, "AGENT_FAILED", `${of} failed`);
    }
    if (chosen === undefined || this.#isThere(chosen.agent)) return chosen;
    throw new NetworkError(
      "AGENT_FAILED",
      `${of} chose agent ${JSON.stringify(chosen.agent)}, which is not there. ` +
        `${this.#whoIsThere()} Let it choose one of these, or add the agent.`,
    );
  }

  #isThere(agent: string): boolean {
    return this.#loop.agents().some(({ name }) => name === agent);
  }

  #whoIsThere(): string {
    return `There are: ${named(this.#loop.agents().map(({ name }) => name))}.`;
  }

  async #call(step: number, agent: string, prompt: string): Promise<RunResult> {
    const { context, state, signal, call } = this.#run;
    const emit = this.#emitOf(step);
    const timeoutMs = this.#remaining();
    if (timeoutMs <= 0) throw this.#late(`step ${step} had not begun`);
    try {
      return await call({ agent, prompt, context, state, timeoutMs, signal, emit });
    } catch (thrown) {
      this.#throwIfCancelled();
      const error = NetworkError.from(thrown);
      await this.#run.journal?.failed(error);
      throw new NetworkError(
        error.code,
        `Step ${step} of network "${this.#loop.network}" failed: ${error.message}`,
        { cause: error, retryAfterMs: error.retryAfterMs },
      );
    }
  }

  /** What a step says; the ids of its calls are its own only within it. */
  #emitOf(step: number): EmitRunEvent {
    const { emit } = this.#run;
    return (event) => {
      // Nodes of before there were such ids give none.
      if (!("callId" in event) || event.callId === "") return emit(event);
      return emit({ ...event, callId: `${step}/${event.callId}` });
    };
  }

  /** The same with another answer, if a hook has given one. */
  #altered(
    hook: keyof NetworkHooks,
    result: RunResult,
    answer: AgentAnswer | undefined,
  ): RunResult {
    if (answer === undefined) return result;
    if (typeof answer?.output !== "string") {
      throw this.#nonsense(hook, 'neither { output: "…" } nor nothing');
    }
    const { data: _, ...rest } = result;
    const { output, data } = answer;
    return { ...rest, output, ...(data !== undefined && { data }) };
  }

  #nonsense(hook: keyof NetworkHooks, what: string): NetworkError {
    const message =
      `Hook "${hook}" of network "${this.#loop.network}" failed: it returned ${what}.`;
    return new NetworkError("AGENT_FAILED", message);
  }

  async #hook<Name extends keyof NetworkHooks, T>(
    name: Name,
    work: () => T | Promise<T>,
  ): Promise<Exclude<T, void> | undefined> {
    // Most networks have none.
    if (this.#loop.hooks[name] === undefined) return undefined;
    return await this.#limited(`Hook "${name}"`, Infinity, work) as Exclude<T, void> | undefined;
  }

  /** Does what belongs to somebody else: it may throw, or never end. */
  async #limited<T>(
    who: string,
    limitMs: number,
    work: (signal: AbortSignal) => T | Promise<T>,
  ): Promise<T> {
    this.#throwIfCancelled();
    const { clock, signal } = this.#run;
    const remaining = this.#remaining();
    if (remaining <= 0) throw this.#late(`${lowered(who)} had not begun`);
    const over = new AbortController();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    aborted.catch(() => {});
    over.signal.addEventListener("abort", () => reject(over.signal.reason), { once: true });
    const onAbort = () => over.abort(cancelled(signal!.reason));
    signal?.addEventListener("abort", onAbort, { once: true });
    const delayMs = Math.min(limitMs, remaining);
    const stopTimer = Number.isFinite(delayMs)
      ? clock.after(delayMs, () => over.abort(this.#tooLong(who, limitMs, remaining)))
      : () => {};
    try {
      return await Promise.race([(async () => await work(over.signal))(), aborted]);
    } catch (thrown) {
      if (over.signal.aborted) throw over.signal.reason;
      const code = thrown instanceof NetworkError ? thrown.code : "AGENT_FAILED";
      const message = `${who} of network "${this.#loop.network}" failed: ${describeError(thrown)}`;
      throw new NetworkError(code, message, { cause: thrown });
    } finally {
      stopTimer();
      signal?.removeEventListener("abort", onAbort);
      // Whoever still works on it need not.
      over.abort(cancelled("it is over"));
    }
  }

  #tooLong(who: string, limitMs: number, remainingMs: number): NetworkError {
    if (remainingMs <= limitMs) return this.#late(`${lowered(who)} had not ended`);
    return new NetworkError(
      "DEADLINE_EXCEEDED",
      `${who} of network "${this.#loop.network}" made no choice within ${limitMs} ms. ` +
        "Let it be quicker, or allow it more with its timeoutMs.",
    );
  }

  #late(why: string): NetworkError {
    return new NetworkError(
      "DEADLINE_EXCEEDED",
      `Network "${this.#loop.network}" was not done within ${
        Math.round(this.#run.timeoutMs)
      } ms: ` +
        `${why}. Allow more with timeoutMs.`,
    );
  }

  #nobody(): NetworkError {
    return new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot run network "${this.#loop.network}": nobody was chosen to begin. ` +
        "Name an initialAgent, or let the router choose one when callCount is 0.",
    );
  }

  #remaining(): number {
    return this.#run.timeoutMs - (this.#run.clock.now() - this.#startedAt);
  }

  #throwIfCancelled(): void {
    const { signal } = this.#run;
    if (signal?.aborted) throw cancelled(signal.reason);
  }

  get #seen() {
    return { network: this.#loop.network, state: this.#run.state };
  }

  /** Tells of a failure; what comes of that changes nothing. */
  async #tell(error: NetworkError): Promise<void> {
    const { onError } = this.#loop.hooks;
    if (onError === undefined) return;
    const late = Promise.withResolvers<void>();
    const stopTimer = this.#run.clock.after(ON_ERROR_LIMIT_MS, late.resolve);
    try {
      await Promise.race([onError({ ...this.#seen, error }), late.promise]);
    } catch {
      // The run's own error says more.
    } finally {
      stopTimer();
    }
  }
}

function cancelled(reason: unknown): NetworkError {
  if (reason instanceof NetworkError) return reason;
  const why = describeError(reason);
  return new NetworkError("CANCELLED", `Cancelled by the caller: ${why}`, { cause: reason });
}

/** As it stands in the middle of a sentence. */
function lowered(who: string): string {
  return who[0].toLowerCase() + who.slice(1);
}
