/** Traces of real nodes, as a collector of OpenTelemetry gets them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { startProcess } from "../support/process.ts";
import { withTempDir } from "../support/temp.ts";

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly events: { name: string; attributes: { key: string; value: unknown }[] }[];
}

Deno.test("with OTEL_DENO a run is one trace of the node that asks and the one that runs it", async () => {
  const spans: Span[] = [];
  await using collector = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const body = await request.json();
      for (const { scopeSpans } of body.resourceSpans ?? []) {
        for (const { scope, spans: some } of scopeSpans) {
          if (scope.name === "hanzo-network") spans.push(...some);
        }
      }
      return Response.json({});
    },
  );
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const env = {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_BSP_SCHEDULE_DELAY: "100",
    };
    await using a = startProcess(Deno.execPath(), machine.upArgs("A"), { env });
    await ready(a);
    await using b = startProcess(Deno.execPath(), machine.upArgs("B"), { env });
    await ready(b);
    await peerEvent(a, "peer-joined", "B");
    const run = ["run", "6*7", "--agent=calculator", "--node=B"];
    const { code, stderr } = await machine.ask("A", ...run);
    assertEquals([code, stderr.includes("calculator on B")], [0, true], stderr);
    const [asked, served] = await eventually(() => {
      const found = ["run calculator", "agent calculator"].map((name) =>
        spans.find((span) => span.name === name)
      );
      return found.every((span) => span !== undefined) ? found as Span[] : undefined;
    }, { what: "both spans" });
    assertEquals([served.traceId, served.parentSpanId], [asked.traceId, asked.spanId]);
    const routed = asked.events.find(({ name }) => name === "routed");
    assert(routed !== undefined);
    assertStringIncludes(JSON.stringify(routed), "it was asked for");
  });
});
