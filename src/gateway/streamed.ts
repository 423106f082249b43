/** Answers that come piece by piece. */

/** An answer of what `chunks` yields, as fast as it is read. */
export function streamed(
  chunks: AsyncGenerator<string>,
  contentType: string,
  init: { readonly status?: number; readonly headers?: Record<string, string> } = {},
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      // What it waits for has been told by then that it is in vain.
      await chunks.return(undefined);
    },
  });
  return new Response(body, {
    ...init,
    headers: { ...init.headers, "content-type": contentType },
  });
}
