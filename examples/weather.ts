/**
 * An agent that a model drives, with a tool of its own:
 * `deno run -A cli.ts up --agents examples/weather.ts`, and then
 * `deno run -A cli.ts run "Do I need an umbrella in Oslo tomorrow?" --agent weather`, or
 * `deno run -A cli.ts chat --agent weather`. OPEN_METEO_URL names another server than Open-Meteo's,
 * which want no key.
 */

import { type Agent, createAgent, createTool, type JsonValue } from "@hanzo/network";
import { z } from "zod";

const own = Deno.env.get("OPEN_METEO_URL");

async function get(host: string, path: string, query: Record<string, string>, signal: AbortSignal) {
  const url = new URL(path, own ?? `https://${host}.open-meteo.com`);
  url.search = `${new URLSearchParams(query)}`;
  const response = await fetch(url, { signal });
  const body = await response.json();
  if (!response.ok) throw new Error(`${url.host} says: ${body.reason ?? response.status}`);
  return body;
}

const forecast = createTool({
  name: "forecast",
  description: "The weather of a place, now and in the next days",
  parameters: z.object({
    place: z.string().describe("the name of a town, without its country"),
    days: z.number().int().min(1).max(16).default(3),
  }),
  handler: async ({ place, days }, { signal }): Promise<JsonValue> => {
    const { results } = await get(
      "geocoding-api",
      "/v1/search",
      { name: place, count: "1" },
      signal,
    );
    if (!results?.length) throw new Error(`there is no place called "${place}"`);
    const { name, country, latitude, longitude } = results[0];
    const { current, daily } = await get("api", "/v1/forecast", {
      latitude,
      longitude,
      timezone: "auto",
      forecast_days: `${days}`,
      current: "temperature_2m,precipitation,wind_speed_10m",
      daily: "temperature_2m_min,temperature_2m_max,precipitation_sum",
    }, signal);
    return { place: `${name}, ${country}`, unit: "°C, mm, km/h", current, daily };
  },
});

/** Answers questions about the weather. */
export const weather: Agent = createAgent({
  name: "weather",
  description: "Answers questions about the weather of a town, today and in the next days",
  // The best that the network has, on whatever device; or a name, such as "llama3.2".
  model: "default",
  system: () =>
    `Today is ${
      new Date().toISOString().slice(0, 10)
    }. Ask the tool forecast, and answer in one or ` +
    "two sentences.",
  tools: [forecast],
  // It only reads: it may be run again elsewhere.
  idempotent: true,
});
