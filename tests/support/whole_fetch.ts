/** For clients that leave an answer before its end. */

/** What is read ahead, in pieces: all that comes after the last line of a stream. */
const READ_AHEAD = { highWaterMark: 64 };

/** A `fetch` whose answers are read to their end, though nobody may look at it. */
export function wholeFetch(fetched: typeof fetch = fetch): typeof fetch {
  return async (input, init) => {
    const answer = await fetched(input, init);
    const body = answer.body?.pipeThrough(new TransformStream({}, {}, READ_AHEAD));
    return new Response(body, answer);
  };
}
