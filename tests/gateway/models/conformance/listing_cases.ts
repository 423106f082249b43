/** How the official clients ask which models there are. */

import { assert, assertEquals } from "@std/assert";
import type { Route } from "./case.ts";

/** The routes. No engine is asked. */
/** Another name of a model, as the node with the gateway has it. */
export const ALIAS = "gpt-4o";
export const ALIASED = "openai-here";

export const LISTING_ROUTES: Route[] = [
  {
    method: "GET",
    path: "/v1/models",
    cases: [
      {
        feature: "all models of the network",
        client: "openai",
        async run({ rig, model }) {
          const ids = (await Array.fromAsync(rig.openai().models.list())).map(({ id }) => id);
          assertEquals(ids, [...rig.here.models().map(({ name }) => name), ALIAS]);
          assert(ids.includes(model));
        },
      },
      {
        feature: "all models of the network",
        client: "@anthropic-ai/sdk",
        async run({ rig, model }) {
          const listed = await Array.fromAsync(rig.anthropic().models.list());
          assertEquals(listed.find(({ id }) => id === model)?.display_name, model);
        },
      },
      {
        feature: "other names of them (`--model-alias`), marked by `root`",
        client: "openai",
        async run({ rig }) {
          const all = await Array.fromAsync(rig.openai().models.list());
          const found = all.find(({ id }) => id === ALIAS) as { root?: string } | undefined;
          assertEquals(found?.root, ALIASED);
        },
      },
      {
        feature: "other names of them, marked in `display_name`",
        client: "@anthropic-ai/sdk",
        async run({ rig }) {
          const all = await Array.fromAsync(rig.anthropic().models.list());
          const found = all.find(({ id }) => id === ALIAS);
          assertEquals(found?.display_name, `${ALIAS} (${ALIASED})`);
        },
      },
    ],
  },
  {
    method: "GET",
    path: "/v1/models/NAME",
    cases: [
      {
        feature: "one of them",
        client: "openai",
        async run({ rig, model }) {
          for (const name of [model, ALIAS]) {
            assertEquals((await rig.openai().models.retrieve(name)).id, name);
          }
        },
      },
      {
        feature: "one of them",
        client: "@anthropic-ai/sdk",
        async run({ rig, model }) {
          assertEquals((await rig.anthropic().models.retrieve(model)).type, "model");
        },
      },
      {
        feature: "by a name that is not listed (`default`, a family), the one that is asked now",
        client: "@anthropic-ai/sdk",
        async run({ rig }) {
          const { id } = await rig.anthropic().models.retrieve("default");
          const all = await Array.fromAsync(rig.anthropic().models.list());
          assert(id !== "default" && all.some((one) => one.id === id));
        },
      },
    ],
  },
  {
    method: "GET",
    path: "/api/tags",
    cases: [{
      feature: "all models of the network",
      client: "ollama",
      async run({ rig, model }) {
        const { models } = await rig.ollama().list();
        const listed = models.find(({ name }) => name === model);
        assertEquals(listed?.digest.length, 64);
      },
    }, {
      feature: "other names of them (`--model-alias`), marked by `parent_model`",
      client: "ollama",
      async run({ rig }) {
        const { models } = await rig.ollama().list();
        const found = models.find(({ name }) => name === ALIAS);
        assertEquals(found?.details.parent_model, ALIASED);
        assertEquals(found?.digest, models.find(({ name }) => name === ALIASED)?.digest);
      },
    }],
  },
  {
    method: "GET",
    path: "/api/ps",
    cases: [{
      feature: "those in memory",
      client: "ollama",
      async run({ rig, model }) {
        const { models } = await rig.ollama().ps();
        assert(models.some(({ name }) => name === model));
        assert(!models.some(({ name }) => name === ALIAS), "it is there once");
      },
    }],
  },
  {
    method: "GET",
    path: "/api/version",
    cases: [{
      feature: "a version of Ollama that can do what is answered here",
      client: "ollama",
      async run({ rig }) {
        assert(/^\d+\.\d+\.\d+$/.test((await rig.ollama().version()).version));
      },
    }],
  },
  {
    method: "POST",
    path: "/api/show",
    cases: [{
      feature: "what is known of one",
      client: "ollama",
      async run({ rig, model, side }) {
        const { capabilities, details } = await rig.ollama().show({ model });
        assert(capabilities.includes("completion"));
        assertEquals(details.quantization_level, side === "ollama" ? "Q4_K_M" : "");
      },
    }, {
      feature: "another name of one",
      client: "ollama",
      async run({ rig }) {
        const { capabilities, details } = await rig.ollama().show({ model: ALIAS });
        assert(capabilities.includes("completion"));
        assertEquals(details.parent_model, ALIASED);
      },
    }, {
      feature: "by a name that is not listed (`default`, a family), the one that is asked now",
      client: "ollama",
      async run({ rig }) {
        const { capabilities } = await rig.ollama().show({ model: "default" });
        assert(capabilities.includes("completion"));
      },
    }],
  },
];
