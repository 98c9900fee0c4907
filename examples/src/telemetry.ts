/**
 * What an operator sees: one span for a call and one for each attempt, and the metrics of the client, as OpenTelemetry
 * exports them.
 *
 *   npx -y pnpm@10.34.9 example examples/src/telemetry.ts
 */
import { Contact } from "@effect-dingtalk/core"
import { Emulator, Fault } from "@effect-dingtalk/emulator"
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Console, Effect } from "effect"
import * as EmbeddedDingTalk from "./EmbeddedDingTalk.js"

// In your program: the OTLP exporters, and nothing else changes.
const spans = new InMemorySpanExporter()
const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: metrics })

const TelemetryLayer = NodeSdk.layer(() => ({
  resource: { serviceName: "telemetry-example" },
  spanProcessor: new SimpleSpanProcessor(spans),
  metricReader: reader
}))

/** 25 calls at once, of which 5 wait for their turn; a throttle, a bad moment, an old token; nobody by that id. */
const calls = Effect.gen(function*() {
  const emulator = yield* Emulator.Emulator
  const getUser = Contact.getUser({ userid: "zhangsan" })
  yield* Effect.all(Array.from({ length: 25 }, () => getUser), { concurrency: "unbounded" })
  yield* emulator.failNext(Fault.throttled, { matching: { endpoint: "contact.getUser" } })
  yield* emulator.failNext(Fault.busy, { matching: { endpoint: "contact.getUser" } })
  yield* getUser
  yield* emulator.expireTokens
  yield* getUser
  yield* Effect.ignore(Contact.getUser({ userid: "nobody" }))
})

const millis = (span: ReadableSpan) => `${Math.round(span.duration[0] * 1000 + span.duration[1] / 1e6)} ms`.padStart(8)

const shown = (attributes: object) =>
  Object.entries(attributes).map(([name, value]) => `${name}=${String(value)}`).join(" ")

const printTraces = Effect.gen(function*() {
  const all = spans.getFinishedSpans()
  const roots = all.filter(({ name }) => name.startsWith("DingTalk.contact"))
  // A throttle and a bad moment; an old token; nobody by that id.
  for (const root of roots.slice(-3)) {
    yield* Console.log(`${millis(root)}  ${root.name}  ${shown(root.attributes)}`)
    for (
      const child of all.filter(({ parentSpanContext }) => parentSpanContext?.spanId === root.spanContext().spanId)
    ) {
      yield* Console.log(`${millis(child)}    ${child.name}  ${shown(child.attributes)}`)
    }
  }
})

const printMetrics = Effect.gen(function*() {
  yield* Effect.promise(() => reader.forceFlush())
  const latest = metrics.getMetrics().at(-1)
  for (const metric of latest?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []) {
    if (!metric.descriptor.name.startsWith("dingtalk.")) continue
    if (metric.dataPointType === DataPointType.HISTOGRAM) {
      for (const { attributes, value } of metric.dataPoints) {
        const mean = Math.round((value.sum ?? 0) / value.count)
        yield* Console.log(`${metric.descriptor.name}  ${shown(attributes)}  ${value.count} of ${mean} ms on average`)
      }
    } else {
      for (const { attributes, value } of metric.dataPoints) {
        yield* Console.log(`${metric.descriptor.name}  ${shown(attributes)}  ${String(value)}`)
      }
    }
  }
})

const program = calls.pipe(
  Effect.provide(EmbeddedDingTalk.layer),
  Effect.zipRight(Console.log("\nTraces")),
  Effect.zipRight(printTraces),
  Effect.zipRight(Console.log("\nMetrics")),
  Effect.zipRight(printMetrics)
)

NodeRuntime.runMain(Effect.provide(program, TelemetryLayer))
