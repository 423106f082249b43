/** An engine watch with time that the test moves, on the system's loopback or on none. */

import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { directHttp } from "../../src/engines/direct_http.ts";
import { EngineWatch } from "../../src/engines/engine_watch.ts";
import type { EngineHttp, EngineRequest, EngineResponse } from "../../src/engines/http.ts";
import type { ModelDescription } from "../../src/engines/model.ts";
import type { EnginePlace } from "../../src/engines/place.ts";
import { recordingLogger } from "../support/recording_logger.ts";

/** What somebody answers at a URL: JSON, a whole response, or an error that is thrown. */
export type ScriptedAnswer = unknown;

/** Answers by path, of a server that is nowhere. */
export class ScriptedEngine {
  /** By path; a function is asked each time. A path that is not here answers 404. */
  answers: Record<string, ScriptedAnswer>;
  /** What was asked, `GET /v1/models`. */
  readonly asked: string[] = [];
  readonly requests: EngineRequest[] = [];
  /** Nobody listens. */
  isGone = false;

  constructor(answers: Record<string, ScriptedAnswer> = {}) {
    this.answers = answers;
  }

  /** What was asked since the last time. */
  takeAsked(): string[] {
    return this.asked.splice(0);
  }

  readonly http: EngineHttp = async (request) => {
    const { url, method, signal } = request;
    this.asked.push(`${method} ${url.pathname}`);
    this.requests.push(request);
    if (this.isGone) throw new NetworkError("UNAVAILABLE", "nobody answers there");
    const given = this.answers[url.pathname];
    const answer = typeof given === "function" ? given(request) : given;
    if (answer === SILENCE) {
      return await new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason), { once: true })
      );
    }
    if (answer instanceof Error) throw answer;
    if (answer instanceof Response) return fromResponse(answer);
    const status = answer === undefined ? 404 : 200;
    return fromResponse(Response.json(answer ?? { error: "not found" }, { status }));
  };
}

/** Nothing is answered, ever. */
export const SILENCE = Symbol("silence");

function fromResponse(response: Response): EngineResponse {
  return {
    status: response.status,
    headers: response.headers,
    body: response.body ?? (async function* () {})(),
    close: () => {},
  };
}

/** See the top of the file. */
export function watchRig(
  places: readonly EnginePlace[],
  http: EngineHttp = directHttp,
  environment: Record<string, string> = {},
) {
  const clock = new ManualClock();
  const log = recordingLogger();
  const told: (readonly ModelDescription[])[] = [];
  const watch = new EngineWatch({
    places,
    http,
    clock,
    logger: log.logger,
    environment: (name) => environment[name],
    changed: (models) => told.push(models),
  });
  const pass = (ms: number) => clock.advance(ms);
  const names = () => told.at(-1)?.map(({ name }) => name);
  return { watch, clock, told, names, log, pass };
}
