/** The agents that `demo` adds to the built-in ones: small, but real work. */

import { type Agent, createAgent } from "../agents/agent.ts";

const SIZE = 192;

/** Multiplies matrices for as many seconds as the prompt says, and measures how fast. */
export const benchmark: Agent = createAgent({
  name: "benchmark",
  description: "Multiplies matrices for the given number of seconds and measures the speed",
  workload: "heavy",
  async run({ prompt, signal }) {
    const seconds = Number(prompt);
    if (!(seconds > 0 && seconds <= 60)) {
      throw new Error(`"${prompt}" is no number of seconds from 0 to 60`);
    }
    const a = Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % 7) / 7);
    const b = Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % 5) / 5);
    const start = performance.now();
    let rounds = 0;
    let trace = 0;
    while (performance.now() - start < seconds * 1000) {
      trace = multiply(a, b);
      rounds++;
      // The node's links must be served while this computes.
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
    }
    const elapsed = performance.now() - start;
    const gigaflops = (2 * SIZE ** 3 * rounds) / elapsed / 1e6;
    return {
      output:
        `${rounds} products of ${SIZE}×${SIZE} matrices in ${(elapsed / 1000).toFixed(1)} s: ` +
        `${gigaflops.toFixed(2)} GFLOPS (trace ${trace.toFixed(3)})`,
      data: { rounds, gigaflops, trace },
    };
  },
});

/** Counts the words of the text beside the prompt. */
export const wordCount: Agent = createAgent({
  name: "word-count",
  description: "Counts the words of the given text and names the most frequent",
  workload: "background",
  run({ prompt, context }) {
    const words = (context || prompt).toLowerCase().match(/\p{L}+/gu) ?? [];
    const counts = Map.groupBy(words, (word) => word);
    const frequent = [...counts]
      .map(([word, all]) => ({ word, count: all.length }))
      .filter(({ word }) => word.length > 3)
      .sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1))
      .slice(0, 3);
    return {
      output: `${words.length} words, ${counts.size} different; most frequent: ` +
        frequent.map(({ word, count }) => `${word} (${count})`).join(", "),
      data: { words: words.length, different: counts.size, frequent },
    };
  },
});

/** The trace of a product, which depends on every row and column. */
function multiply(a: Float32Array, b: Float32Array): number {
  const product = new Float32Array(SIZE * SIZE);
  for (let i = 0; i < SIZE; i++) {
    for (let k = 0; k < SIZE; k++) {
      const factor = a[i * SIZE + k];
      for (let j = 0; j < SIZE; j++) product[i * SIZE + j] += factor * b[k * SIZE + j];
    }
  }
  let trace = 0;
  for (let i = 0; i < SIZE; i++) trace += product[i * SIZE + i];
  return trace;
}
