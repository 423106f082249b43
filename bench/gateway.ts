/**
 * What the gateway adds to a call of a model: against the engine itself, against the least proxies
 * that this runtime has, and against Portkey's gateway in front of the same engine, in turns and
 * with the same client. Portkey's listens on all interfaces, so all of it goes on in a network
 * namespace of its own, which needs Linux and root. Ends by itself; the exit status is 1 when a goal
 * was missed.
 *
 *     deno task bench:gateway [--json]
 */

const PORTKEYS = "Portkey's gateway";
const PORTKEY = "@portkey-ai/gateway@1.15.2";
const BROADCAST_PORT = 45_720;
const ROUNDS = 9;
/** Calls one after the other, of each kind, in each round. */
const CALLS = 200;
const IN_FLIGHT = 32;
const PARALLEL_CALLS = 5_000;
const PARALLEL_ROUNDS = 7;
/** Of these, at the beginning. */
const WARMING_ROUNDS = 2;
/** Milliseconds that may be added to the median, and how many times Portkey's calls a second. */
const GOALS = { "here": [0.5, 1], "by another node": [1.5, 2] } as const;
const GOAL_TIMES = 5;

const directory = Deno.args.find((arg) => arg.startsWith("--portkey="))?.slice(10);
if (directory === undefined) {
  const made = await Deno.makeTempDir();
  try {
    await command("npm", ["install", "--prefix", made, "--ignore-scripts", "--silent", PORTKEY]);
    const script = 'ip link set lo up && exec "$0" "$@"';
    const inside = ["run", "-A", import.meta.filename!, ...Deno.args, `--portkey=${made}`];
    const child = new Deno.Command("unshare", {
      args: ["--net", "sh", "-c", script, Deno.execPath(), ...inside],
    });
    Deno.exit((await child.spawn().status).code);
  } finally {
    await Deno.remove(made, { recursive: true });
  }
}

const body = JSON.stringify({
  model: "bench-model",
  messages: [
    { role: "system", content: "You are brief. ".repeat(20) },
    { role: "user", content: "What makes Jack a dull boy?" },
  ],
});
const streamedBody = body.replace("{", '{"stream":true,');

interface Target {
  readonly name: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  /** Portkey's answers a wish for pieces with 500, on Node 18, 20, 22 and 24. */
  readonly streams: boolean;
}

const children: Deno.ChildProcess[] = [];
const dataDirectory = await Deno.makeTempDir();
try {
  const engine = `http://127.0.0.1:${await started("gateway_engine.ts")}`;
  const proxy = await started("gateway_proxy.ts", engine, "deno");
  const nodeProxy = await started("gateway_proxy.ts", engine, "node");
  const here = await started("gateway_node.ts", "here", `${BROADCAST_PORT}`, engine);
  const other = await started("gateway_node.ts", "other", `${BROADCAST_PORT}`);
  const portkey = await startPortkey(directory);
  const target = (name: string, port: string, headers = {}): Target => ({
    name,
    url: `http://127.0.0.1:${port}/v1/chat/completions`,
    headers: { "content-type": "application/json", "authorization": "Bearer none", ...headers },
    streams: name !== PORTKEYS,
  });
  const direct = target("the engine itself", new URL(engine).port);
  const targets = [
    direct,
    target("a bare proxy", proxy),
    target("the same, of node:http", nodeProxy),
    target("here", here),
    target("by another node", other),
    target(PORTKEYS, portkey, {
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `${engine}/v1`,
    }),
  ];
  for (const one of targets) await answers(one);

  // Servers run for days: each is measured when the runtime has made fast code of what it does.
  const perSecond = new Map(targets.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < PARALLEL_ROUNDS; round++) {
    for (const one of targets) {
      const rate = await callsPerSecond(one);
      if (round >= WARMING_ROUNDS) perSecond.get(one.name)!.push(rate);
    }
  }
  // Each figure is a difference to the engine itself in the same round.
  const added = new Map(targets.map(({ name }) => [name, { whole: [], first: [] } as Added]));
  for (let round = 0; round <= ROUNDS; round++) {
    const whole = new Map<string, number>();
    const first = new Map<string, number>();
    for (const one of targets) {
      whole.set(one.name, await medianMs(() => plain(one)));
      if (one.streams) first.set(one.name, await medianMs(() => firstToken(one)));
    }
    // The first round warms up.
    if (round === 0) continue;
    for (const { name, streams } of targets) {
      added.get(name)!.whole.push(whole.get(name)! - whole.get(direct.name)!);
      if (streams) added.get(name)!.first.push(first.get(name)! - first.get(direct.name)!);
    }
  }
  const theirs = median(perSecond.get(PORTKEYS)!);
  let met = true;
  const rows = targets.map(({ name }) => {
    const { whole, first } = added.get(name)!;
    const [wholeGoal, firstGoal] = GOALS[name as keyof typeof GOALS] ?? [];
    const times = median(perSecond.get(name)!) / theirs;
    met &&= wholeGoal === undefined || median(whole) <= wholeGoal && median(first) <= firstGoal!;
    if (name === "here") met &&= times >= GOAL_TIMES;
    return {
      "through": name,
      "adds to a plain call, ms": round(median(whole)),
      "goal ": wholeGoal ?? "",
      "adds to the first token, ms": first.length === 0 ? "" : round(median(first)),
      "goal": firstGoal ?? "",
      [`calls/s, ${IN_FLIGHT} in flight`]: Math.round(median(perSecond.get(name)!)),
      "of Portkey's": round(times),
    };
  });
  if (Deno.args.includes("--json")) console.log(JSON.stringify(rows));
  else console.table(rows);
  if (!met) Deno.exitCode = 1;
} finally {
  for (const child of children) {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await child.status;
  }
  await Deno.remove(dataDirectory, { recursive: true });
}

interface Added {
  readonly whole: number[];
  readonly first: number[];
}

/** A program beside this one; the first line that it prints is its port. */
async function started(file: string, ...args: string[]): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", import.meta.resolve(`./${file}`), ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
    env: { DENO_NO_UPDATE_CHECK: "1", HANZO_NETWORK_DATA_DIR: dataDirectory },
  }).spawn();
  children.push(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return new TextDecoder().decode(value).trim();
}

async function startPortkey(directory: string): Promise<string> {
  const port = "8787";
  const script = `${directory}/node_modules/@portkey-ai/gateway/build/start-server.js`;
  const child = new Deno.Command("node", {
    args: [script, "--headless", `--port=${port}`],
    stdout: "null",
    stderr: "null",
    env: { NODE_ENV: "production" },
  }).spawn();
  children.push(child);
  return await Promise.resolve(port);
}

/** Waits until somebody answers there, for half a minute at most. */
async function answers(one: Target): Promise<void> {
  const until = performance.now() + 30_000;
  for (;;) {
    try {
      return await plain(one);
    } catch (thrown) {
      if (performance.now() > until) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function plain({ name, url, headers }: Target): Promise<void> {
  const response = await fetch(url, { method: "POST", headers, body });
  const text = await response.text();
  if (!text.includes("no play")) throw new Error(`${name} answers ${response.status}: ${text}`);
}

/** From the request to the first token; the rest is read outside of the time. */
async function firstToken({ name, url, headers }: Target): Promise<number> {
  const began = performance.now();
  const response = await fetch(url, { method: "POST", headers, body: streamedBody });
  const decoder = new TextDecoder();
  let text = "";
  let firstMs: number | undefined;
  for await (const bytes of response.body!) {
    text += decoder.decode(bytes, { stream: true });
    if (firstMs === undefined && text.includes('"All"')) firstMs = performance.now() - began;
  }
  if (firstMs === undefined || !text.includes("[DONE]")) {
    throw new Error(`${name} answers ${response.status}: ${text}`);
  }
  return firstMs;
}

async function medianMs(call: () => Promise<number | void>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < CALLS; i++) {
    const began = performance.now();
    const firstMs = await call();
    times.push(firstMs ?? performance.now() - began);
  }
  return median(times);
}

async function callsPerSecond(one: Target): Promise<number> {
  let left = PARALLEL_CALLS;
  const began = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (left-- > 0) await plain(one);
  }));
  return PARALLEL_CALLS / (performance.now() - began) * 1_000;
}

async function command(name: string, args: string[]): Promise<void> {
  const { success } = await new Deno.Command(name, { args, stdout: "null" }).output();
  if (!success) throw new Error(`Cannot measure: ${name} ${args.join(" ")} failed.`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
