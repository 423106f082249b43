/**
 * An MCP server on stdio that behaves as its first argument says; its tools, as they are asked to.
 * Speaks the protocol by hand, so that it can break it.
 */

const [mode = "good"] = Deno.args;
const encoder = new TextEncoder();
const write = (text: string) => Deno.stdout.writeSync(encoder.encode(text));
const send = (message: object) => write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
let tools = [
  "echo",
  "environment",
  "die",
  "hang",
  "huge",
  "deep",
  "fail",
  "cancelled",
  "add tool",
  "pid",
  "odd answer",
];
const cancelled: unknown[] = [];

if (mode === "dies") {
  console.error("no key was given");
  Deno.exit(3);
}
if (mode === "garbage") { for (;;) write("this is a log line, and no message\n"); }
if (mode === "endless") { for (;;) write("x".repeat(65_536)); }
if (mode === "stubborn") {
  Deno.addSignalListener("SIGTERM", () => console.error("ignored"));
  // Goes on when its input has ended.
  setInterval(() => {}, 1_000);
}

let buffer = "";
for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  buffer += chunk;
  const lines = buffer.split("\n");
  buffer = lines.pop()!;
  for (const line of lines) await take(JSON.parse(line));
}

async function take({ id, method, params }: Message): Promise<void> {
  const reply = (result: unknown) => send({ id, result });
  if (mode === "silent") return;
  if (method === "initialize") {
    if (mode === "chatty") write("Server ready\n\n{}\n[1]\n");
    reply({
      protocolVersion: params!.protocolVersion,
      capabilities: { tools: { listChanged: true } },
      serverInfo: { name: "odd", version: "1" },
    });
  }
  if (method === "tools/list") {
    const schema = { type: "object", properties: { text: { type: "string" } } };
    const names: unknown[] = mode === "oddList" ? [5] : tools;
    const at = Number(params?.cursor ?? 0);
    const page = mode === "pages" ? [`tool ${at}`] : names;
    reply({
      tools: page.map((name) => ({ name, inputSchema: schema })),
      ...(mode === "pages" && at < 39 && { nextCursor: `${at + 1}` }),
    });
  }
  if (method === "notifications/cancelled") cancelled.push(params!.requestId);
  if (method === "tools/call") await call(reply, params!);
}

// deno-lint-ignore require-await
async function call(reply: (result: unknown) => void, params: Params): Promise<void> {
  const text = (text: string) => reply({ content: [{ type: "text", text }] });
  switch (params.name) {
    case "echo":
      return text(String(params.arguments?.text));
    case "environment":
      return text(JSON.stringify(Deno.env.toObject()));
    case "pid":
      return text(String(Deno.pid));
    case "die":
      Deno.exit(1);
      break;
    case "hang":
      return;
    case "huge":
      return text("x".repeat(Number(params.arguments?.text)));
    case "deep":
      write(`{"jsonrpc":"2.0","id":1,"result":${"[".repeat(5_000)}${"]".repeat(5_000)}}\n`);
      return text("after");
    case "odd answer":
      return reply({ content: [{ type: "smell" }] });
    case "fail":
      return reply({ content: [{ type: "text", text: "the disk is full" }], isError: true });
    case "cancelled":
      return text(JSON.stringify(cancelled));
    case "add tool":
      tools = [...tools, "added"];
      send({ method: "notifications/tools/list_changed" });
      return text("done");
  }
}

interface Params {
  name?: string;
  cursor?: string;
  protocolVersion?: string;
  requestId?: unknown;
  arguments?: Record<string, unknown>;
}

interface Message {
  id?: number;
  method?: string;
  params?: Params;
}
