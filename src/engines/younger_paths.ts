/**
 * Paths that engines have only since lately, and some not yet: OpenAI's Responses (Ollama since
 * 0.13.3, LM Studio since 0.3.29) and Anthropic's Messages (Ollama since 0.14, LM Studio since
 * 0.4.1). Few tell their version, so an engine is asked, as soon as somebody wants to know.
 */

import type { EngineClient, EngineReply } from "./engine_client.ts";

/** One of these paths, below `/v1`. */
export type YoungerPath = "/responses" | "/messages";

/** Who says this has not looked at the question: it is locked, full, or starts. */
const SAYS_NOTHING: ReadonlySet<number> = new Set([401, 403, 408, 429, 503]);

/** Which of them one engine has. */
export class YoungerPaths {
  readonly #client: Pick<EngineClient, "openAi">;
  #known = new Map<YoungerPath, Promise<boolean>>();

  constructor(client: Pick<EngineClient, "openAi">) {
    this.#client = client;
  }

  /** Asks until it is known; as long as it is not, it has none. */
  has(path: YoungerPath): Promise<boolean> {
    const known = this.#known;
    let answer = known.get(path);
    if (answer === undefined) {
      // It has no model, and costs nothing.
      answer = this.#client.openAi(path, {}).then(isThere, () => undefined).then((isThere) => {
        if (isThere === undefined) known.delete(path);
        return isThere ?? false;
      });
      known.set(path, answer);
    }
    return answer;
  }

  /** Another engine may have taken its place, or another version. */
  forget(): void {
    this.#known = new Map();
  }
}

/**
 * It misses something in the question. Whoever does not know the path says 404, or 405, and LM
 * Studio 200.
 */
function isThere({ status }: EngineReply): boolean | undefined {
  return SAYS_NOTHING.has(status) ? undefined : status === 400 || status === 422;
}
