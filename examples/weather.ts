/**
 * An agent that a model drives:
 * `deno run -A cli.ts up --agents examples/weather.ts`, and then
 * `deno run -A cli.ts run "Do I need an umbrella in Oslo tomorrow?" --agent weather`.
 */

import { type Agent, createAgent, createHttpRequestTool } from "@hanzo/network";

/** Answers questions about the weather: the model asks Open-Meteo, which wants no key. */
export const weather: Agent = createAgent({
  name: "weather",
  description: "Answers questions about the weather of a town, today and in the next days",
  // The best that the network has, on whatever device; or a name, such as "llama3.2".
  model: "default",
  system: () =>
    `It is ${
      new Date().toISOString().slice(0, 16)
    } UTC. Answer in one or two sentences. Find the ` +
    "place with https://geocoding-api.open-meteo.com/v1/search?count=1&name=NAME and the weather " +
    "with https://api.open-meteo.com/v1/forecast?latitude=X&longitude=Y&timezone=auto" +
    "&current=temperature_2m,precipitation,wind_speed_10m" +
    "&daily=temperature_2m_min,temperature_2m_max,precipitation_sum,precipitation_probability_max",
  // Of its own, so that the node's owner need not allow these hosts to all agents.
  tools: [
    createHttpRequestTool({
      allowHosts: ["geocoding-api.open-meteo.com", "api.open-meteo.com"],
    }),
  ],
  // It only reads: it may be run again elsewhere.
  idempotent: true,
});
