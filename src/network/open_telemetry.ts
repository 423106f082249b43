/**
 * Traces by OpenTelemetry: Deno itself records and exports them when it is started with
 * `OTEL_DENO=true`; without that nothing is loaded.
 */

import type { Span } from "@opentelemetry/api";
import { isGranted } from "../base/permissions.ts";
import type { Tracer } from "../tasks/tracing.ts";
import { VERSION } from "./version.ts";

const VARIABLE = "OTEL_DENO";
/** `traceparent` of W3C: version, trace, span, flags. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** What records traces; undefined where nobody has asked for them. */
export async function openTelemetry(): Promise<Tracer | undefined> {
  if (!isGranted({ name: "env", variable: VARIABLE })) return undefined;
  if (!["true", "1"].includes(Deno.env.get(VARIABLE) ?? "")) return undefined;
  const { ROOT_CONTEXT, SpanStatusCode, trace } = await import("@opentelemetry/api");
  const tracer = trace.getTracer("hanzo-network", VERSION);
  return {
    begin(name, attributes, parent) {
      const found = TRACEPARENT.exec(parent ?? "");
      const context = found === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, {
        traceId: found[1],
        spanId: found[2],
        traceFlags: Number.parseInt(found[3], 16),
        isRemote: true,
      });
      const span = tracer.startSpan(name, { attributes: mutable(attributes) }, context);
      return {
        traceparent: traceparentOf(span),
        event: (name, attributes) => void span.addEvent(name, mutable(attributes)),
        end(outcome, attributes = {}) {
          span.setAttributes(mutable({ ...attributes, "task.outcome": outcome }));
          if (outcome !== "ok") span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
          span.end();
        },
      };
    },
  };
}

function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** The library's types know no arrays that are only read. */
function mutable(attributes: Readonly<Record<string, string | number | readonly string[]>>) {
  return attributes as Record<string, string | number | string[]>;
}
