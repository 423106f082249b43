/** Answers of `fetch` that their signal stops, whenever that is. */

/**
 * The same answer, with a body that ends with `signal`. Deno 2.9 forgets the signal of a request with
 * the first collection of garbage after its head has come, and nothing stops the body then.
 *
 * @param signal That of the request.
 */
export function stoppable(answer: Response, signal: AbortSignal | null | undefined): Response {
  if (!signal || answer.body === null) return answer;
  const reader = answer.body.getReader();
  let onAbort = () => {};
  const forget = () => signal.removeEventListener("abort", onAbort);
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      onAbort = () => {
        controller.error(signal.reason);
        reader.cancel(signal.reason).catch(() => {});
      };
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        // Whoever was told that it ends hears no more.
        if (signal.aborted) return;
        if (!done) return controller.enqueue(value);
        forget();
        controller.close();
      } catch (thrown) {
        forget();
        throw thrown;
      }
    },
    async cancel(reason) {
      forget();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  const { status, statusText, headers } = answer;
  return new Response(body, { status, statusText, headers });
}
