import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import {
  type DeviceCapabilities,
  deviceCapabilitiesSchema,
  parseCapabilityOverrides,
} from "../../src/device/capabilities.ts";
import { applyOverrides, describeOverrides } from "../../src/device/report.ts";

const laptop: DeviceCapabilities = {
  model: "MacBook Pro (Mac15,8)",
  chip: "Apple M3 Max",
  memory: 65536,
  vram: null,
  unifiedMemory: true,
  flops: { fp32: 14.2, fp16: 28.4, int8: 56.8 },
  cores: 16,
  gpus: [{
    name: "Apple M3 Max",
    vendor: "apple",
    memory: null,
    unified: true,
    flops: { fp32: 14.2, fp16: 28.4, int8: 56.8 },
  }],
  os: "darwin",
  arch: "aarch64",
};

Deno.test("capabilities pass the wire as they are, and unknown fields are dropped", () => {
  const received = { ...laptop, secret: "x", gpus: [{ ...laptop.gpus[0], serial: 7 }] };
  const wire = JSON.parse(JSON.stringify(received));
  assertEquals(deviceCapabilitiesSchema.parse(wire), laptop);
});

Deno.test("names off the wire lose control characters and are cut to 128 characters", () => {
  const read = deviceCapabilitiesSchema.parse({
    ...laptop,
    model: "\x1b[2Jmodel\u202e",
    chip: "c".repeat(1000),
  });
  assertEquals(read.model, "[2Jmodel");
  assertEquals(read.chip?.length, 128);
});

Deno.test("figures off the wire must be finite and not negative, and GPUs at most 16", () => {
  const bad: unknown[] = [
    { ...laptop, memory: -1 },
    { ...laptop, memory: Infinity },
    { ...laptop, memory: "64 GB" },
    { ...laptop, flops: { fp32: NaN, fp16: 1, int8: 1 } },
    { ...laptop, flops: {} },
    { ...laptop, gpus: Array(17).fill(laptop.gpus[0]) },
    { ...laptop, gpus: [{ ...laptop.gpus[0], vendor: "acme" }] },
    { ...laptop, unifiedMemory: "yes" },
    null,
    [],
  ];
  for (const value of bad) assert(!deviceCapabilitiesSchema.safeParse(value).success);
  const many = { ...laptop, gpus: Array(16).fill(laptop.gpus[0]) };
  assert(deviceCapabilitiesSchema.safeParse(many).success);
});

Deno.test("the specification's shape of capabilities is taken, and every part of it is optional", () => {
  const written = {
    model: "MacBook Pro",
    chip: "Apple M3",
    memory: 16384,
    flops: { fp32: 3.55, fp16: 7.1, int8: 14.2 },
  };
  assertEquals(parseCapabilityOverrides(written), written);
  for (const key of Object.keys(written) as (keyof typeof written)[]) {
    assertEquals(parseCapabilityOverrides({ [key]: written[key] }), { [key]: written[key] });
  }
  assertEquals(parseCapabilityOverrides({}), {});
});

Deno.test("a field that is misspelt is named, not passed over", () => {
  const written = { memoy: 16_384, flops: { fp64: 1 }, gpus: [{ name: "x", vram: 1 }] };
  const { message } = assertThrows(() => parseCapabilityOverrides(written), NetworkError);
  assertStringIncludes(message, 'there is no "memoy"');
  assertStringIncludes(message, 'flops: there is no "fp64"');
  assertStringIncludes(message, 'gpus.0: there is no "vram"');
});

Deno.test("what was written wrongly is named with what would be right", () => {
  const error = assertThrows(
    () =>
      parseCapabilityOverrides({
        memory: "16 GB",
        chip: 4090,
        model: " ",
        flops: { fp16: -1 },
        gpus: [{ vendor: "acme" }],
        unifiedMemory: 1,
      }),
    NetworkError,
  );
  assertEquals(error.code, "INVALID_ARGUMENT");
  for (
    const part of [
      "memory: expected a number of MB",
      "chip: expected a text",
      "model: expected a text that is not empty",
      "flops.fp16: expected a number of TFLOPS, 0 or more",
      "gpus.0.name: expected a text",
      "gpus.0.vendor: expected one of nvidia",
      "unifiedMemory: expected true or false",
    ]
  ) assert(error.message.includes(part), `${part} is not in: ${error.message}`);
});

Deno.test("capabilities that are no object are refused with a message, whatever they are", () => {
  for (const value of [null, undefined, 7, "RTX 4090", []]) {
    const error = assertThrows(() => parseCapabilityOverrides(value), NetworkError);
    assert(error.message.includes("expected an object"), error.message);
  }
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    try {
      parseCapabilityOverrides(value);
    } catch (error) {
      assert(error instanceof NetworkError && error.code === "INVALID_ARGUMENT");
    }
  }));
});

Deno.test("a chip alone brings its rates, its GPU and its memory from the table", () => {
  const there = applyOverrides(laptop, { chip: "RTX 4090" });
  assertEquals(there.chip, "RTX 4090");
  assertEquals(there.flops, { fp32: 82.58, fp16: 165.16, int8: 330.32 });
  assertEquals(there.gpus, [{
    name: "RTX 4090",
    vendor: "nvidia",
    memory: 24576,
    unified: false,
    flops: { fp32: 82.58, fp16: 165.16, int8: 330.32 },
  }]);
  assertEquals([there.vram, there.unifiedMemory], [24576, false]);
  assertEquals([there.memory, there.model, there.cores], [65536, laptop.model, 16]);
});

Deno.test("a board as a chip has rates and no GPU", () => {
  const there = applyOverrides(laptop, { chip: "Raspberry Pi 5", memory: 8192 });
  assertEquals(there.flops, { fp32: 0.1, fp16: null, int8: null });
  assertEquals([there.gpus, there.vram, there.unifiedMemory], [[], null, false]);
  assertEquals(there.memory, 8192);
});

Deno.test("a chip that the table does not know has unknown rates, unless they are given", () => {
  const unknown = applyOverrides(laptop, { chip: "Abacus 9000" });
  assertEquals(unknown.flops, { fp32: null, fp16: null, int8: null });
  assertEquals(unknown.gpus, []);
  const given = applyOverrides(laptop, { chip: "Abacus 9000", flops: { fp16: 3 } });
  assertEquals(given.flops, { fp32: null, fp16: 3, int8: null });
});

Deno.test("one rate can be overridden without touching the others", () => {
  assertEquals(applyOverrides(laptop, { flops: { int8: 1 } }).flops, {
    fp32: 14.2,
    fp16: 28.4,
    int8: 1,
  });
});

Deno.test("GPUs that were written are completed from the table, the fastest gives the rates", () => {
  const there = applyOverrides(laptop, {
    gpus: [{ name: "RTX 3080" }, { name: "RTX 3090", memory: 20000 }, { name: "Home-made" }],
  });
  assertEquals(there.gpus.map(({ memory }) => memory), [10240, 20000, null]);
  assertEquals(there.gpus[2].flops, { fp32: null, fp16: null, int8: null });
  assertEquals(there.vram, 30240);
  assertEquals(there.flops.fp16, 71.2);
  assertEquals(there.unifiedMemory, false);
});

Deno.test("overriding nothing changes nothing, and nothing of the argument is changed", () => {
  const before = structuredClone(laptop);
  assertEquals(applyOverrides(laptop, {}), laptop);
  applyOverrides(laptop, { chip: "RTX 4090", flops: { fp32: 1 } }).gpus[0].name = "changed";
  assertEquals(laptop, before);
});

Deno.test("the origin of an overridden figure is the option, of what follows from it the table", () => {
  const { sources, missing } = describeOverrides(
    {
      capabilities: laptop,
      sources: { chip: "sysctl", model: "sysctl", "gpus.0.name": "system_profiler" },
      missing: { vram: "unified memory", "gpus.0.memory": "unified memory" },
    },
    { chip: "RTX 5060 Ti", flops: { int8: null } },
  );
  assertEquals(sources["chip"], "option");
  assertEquals(sources["model"], "sysctl");
  assert(sources["flops.fp16"].startsWith("chip table: "));
  assert(sources["gpus.0.name"].startsWith("chip table: "));
  assert(missing["vram"].includes("unknown"));
  assert(missing["gpus.0.memory"].includes("several sizes"));
  assertEquals(missing["flops.int8"], "given as null in the option");
});
