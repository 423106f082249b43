/**
 * An engine that takes no time: what stands behind the gateways that `gateway.ts` compares. It ends
 * with its standard input.
 */

const MODEL = "bench-model";
const WORDS = ["All", " work", " and", " no", " play", "."];
const CREATED = 1_735_689_600;

const whole = JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: CREATED,
  model: MODEL,
  choices: [{
    index: 0,
    message: { role: "assistant", content: WORDS.join("") },
    finish_reason: "stop",
  }],
  usage: { prompt_tokens: 100, completion_tokens: WORDS.length, total_tokens: 106 },
});
const encoder = new TextEncoder();
const pieces = [
  ...WORDS.map((content) => piece({ content }, null)),
  piece({}, "stop"),
  "data: [DONE]\n\n",
].map((text) => encoder.encode(text));
const models = { object: "list", data: [{ id: MODEL, object: "model", owned_by: "bench" }] };

const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) },
  async (request) => {
    if (request.method === "GET") {
      return new URL(request.url).pathname === "/v1/models"
        ? Response.json(models)
        : new Response(null, { status: 404 });
    }
    const { stream } = await request.json();
    const headers = { "content-type": stream ? "text/event-stream" : "application/json" };
    return new Response(stream ? ReadableStream.from(pieces) : whole, { headers });
  },
);
await Deno.stdin.read(new Uint8Array(1));
await server.shutdown();

function piece(delta: { content?: string }, finish_reason: string | null): string {
  const choices = [{ index: 0, delta, finish_reason }];
  const object = "chat.completion.chunk";
  const chunk = { id: "chatcmpl-1", object, created: CREATED, model: MODEL, choices };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}
