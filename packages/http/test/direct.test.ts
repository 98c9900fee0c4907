/**
 * The short way of a call, when all is at hand, and where it turns into the long one.
 */
import type { DingTalk, Transport } from "@effect-dingtalk/core"
import { AccessToken, Contact, TokenService } from "@effect-dingtalk/core"
import { DingTalkHttp, DingTalkMetrics, FetchTransport, HttpTransport } from "@effect-dingtalk/http"
import * as UndiciHttpClient from "@effect-dingtalk/http/UndiciHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Metric, Option, TestClock, Tracer } from "effect"
import type * as Net from "node:net"
import * as Zlib from "node:zlib"
import { makeCallWith } from "../src/DingTalkHttp.js"
import { Deadline, Entry, within } from "../src/internal/deadline.js"
import * as RawServer from "./RawServer.js"

const layerOf = (
  transport: Layer.Layer<Transport.Transport>,
  options: DingTalkHttp.Options = {},
  source: AccessToken.Source<never> | undefined = undefined
): Layer.Layer<DingTalk.DingTalk> =>
  DingTalkHttp.layer({ deadline: "300 millis", ...options }).pipe(
    Layer.provide(
      source === undefined ? TokenService.layerTest("t") : Layer.succeed(TokenService.TokenService, source)
    ),
    Layer.provide(transport)
  )

const transportOf = (server: RawServer.RawServer) =>
  HttpTransport.layer({ hosts: server.hosts, maxBodyBytes: 10_000 }).pipe(Layer.provide(UndiciHttpClient.layer()))

/** Those that need no Effect for an exchange. */
const short = [
  ["UndiciHttpClient.layer", transportOf],
  [
    "FetchTransport.layer",
    (server: RawServer.RawServer) => FetchTransport.layer({ hosts: server.hosts, maxBodyBytes: 10_000 })
  ]
] as const

const zhangsan = Contact.getUser({ userid: "zhangsan" })
const user = `{"errcode":0,"errmsg":"ok","result":{"userid":"zhangsan","unionid":"u","name":"John"}}`

const answer = (body: string | Buffer, headers = "") => (socket: Net.Socket) => {
  socket.write(`HTTP/1.1 200 OK\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n`)
  socket.write(body)
}

/** One after the other, the last one again and again. */
const answers = (...all: ReadonlyArray<(socket: Net.Socket) => void>) => (socket: Net.Socket, _: string, nth: number) =>
  all[Math.min(nth, all.length) - 1](socket)

const silence = () => {}

const tracer = () => {
  const spans: Array<Tracer.Span> = []
  return {
    spans,
    layer: Layer.unwrapEffect(Effect.map(Effect.tracer, (native) =>
      Layer.setTracer(Tracer.make({
        span: (...args) => {
          const span = native.span(...args)
          spans.push(span)
          return span
        },
        context: (run, fiber) => native.context(run, fiber)
      }))))
  }
}

const outcomes = (outcome: string) =>
  DingTalkMetrics.calls.pipe(
    Metric.tagged("endpoint", "contact.getUser"),
    Metric.tagged("outcome", outcome),
    Metric.value,
    Effect.map(({ count }) => count)
  )

// One after the other: they count what ended, and there is one register of metrics.
for (const [name, transport] of short) {
  describe.sequential(`the short way, with ${name}`, () => {
    it.scopedLive("takes a token that is in memory, and asks for none", () =>
      Effect.gen(function*() {
        const server = yield* RawServer.make(answer(user))
        const token = AccessToken.make("in memory", Infinity)
        const source: AccessToken.Source<never> = {
          get: Effect.dieMessage("nobody asks"),
          invalidate: () => Effect.void,
          unsafePeek: () => token
        }
        assert.strictEqual((yield* Effect.provide(zhangsan, layerOf(transport(server), {}, source))).name, "John")
      }))

    it.scopedLive("asks for one where there is none", () =>
      Effect.gen(function*() {
        const server = yield* RawServer.make(answer(user))
        const source: AccessToken.Source<never> = {
          get: Effect.delay(Effect.succeed(AccessToken.make("fetched", Infinity)), "10 millis"),
          invalidate: () => Effect.void,
          unsafePeek: () => undefined
        }
        assert.strictEqual((yield* Effect.provide(zhangsan, layerOf(transport(server), {}, source))).name, "John")
      }))

    it.scopedLive("turns into the long one when it fails: a busy platform is asked again, and it is one call", () =>
      Effect.gen(function*() {
        const busy = answer(`{"errcode":-1,"errmsg":"busy"}`)
        const server = yield* RawServer.make(answers(busy, busy, answer(user)))
        const { layer, spans } = tracer()
        const before = yield* outcomes("success")
        const found = yield* zhangsan.pipe(
          Effect.provide(layerOf(transport(server), { deadline: "5 seconds", retry: { base: "1 millis" } })),
          Effect.withSpan("caller", { captureStackTrace: false }),
          Effect.provide(layer)
        )
        assert.strictEqual(found.name, "John")
        assert.strictEqual((yield* outcomes("success")) - before, 1)
        const attempt = "POST /topapi/v2/user/get"
        assert.deepStrictEqual(spans.map(({ name }) => name), [
          "caller",
          "DingTalk.contact.getUser",
          attempt,
          attempt,
          attempt
        ])
        const parents = spans.slice(1).map(({ parent }) => (Option.getOrThrow(parent) as Tracer.Span).name)
        assert.deepStrictEqual(parents, ["caller", ...Array.from({ length: 3 }, () => "DingTalk.contact.getUser")])
        assert.strictEqual(spans[1].attributes.get("dingtalk.attempts"), 3)
        assert.isTrue(spans.every(({ status }) => status._tag === "Ended"))
      }))

    it.scopedLive("ends at the deadline, also where it may not be interrupted, and closes its socket", () =>
      Effect.gen(function*() {
        const server = yield* RawServer.make(silence)
        const layer = yield* Layer.memoize(layerOf(transport(server)))
        const { layer: traced, spans } = tracer()
        const [took, error] = yield* zhangsan.pipe(
          Effect.provide(layer),
          Effect.flip,
          Effect.uninterruptible,
          Effect.timed,
          Effect.provide(traced)
        )
        assert.strictEqual("reason" in error ? error.reason : error._tag, "Timeout")
        assert.isAtLeast(Duration.toMillis(took), 290)
        assert.deepStrictEqual(spans.map(({ status }) => status._tag), ["Ended", "Ended"])
        yield* Effect.sleep("50 millis")
        assert.strictEqual(server.asked(), 0)
        // `fetch` of Node makes a new connection in its place, for whoever comes next.
        if (transport === transportOf) assert.strictEqual(server.open(), 0)
        // The timer is left over from before: the next ones get their own time.
        const late = yield* Effect.all([zhangsan, Effect.delay(zhangsan, "100 millis")].map(Effect.flip), {
          concurrency: 2
        }).pipe(Effect.provide(layer), Effect.timed)
        assert.isTrue(late[1].every((error) => "reason" in error && error.reason === "Timeout"))
        assert.isAtLeast(Duration.toMillis(late[0]), 390)
      }))

    it.scopedLive("is counted once when it is interrupted, and its spans end", () =>
      Effect.gen(function*() {
        const server = yield* RawServer.make(silence)
        const { layer, spans } = tracer()
        const before = yield* outcomes("Interrupted")
        const fiber = yield* zhangsan.pipe(
          Effect.provide(layerOf(transport(server), { deadline: "1 minute" })),
          Effect.provide(layer),
          Effect.fork
        )
        yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => server.requests.length === 1 })
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* outcomes("Interrupted")) - before, 1)
        assert.strictEqual(spans[0].attributes.get("error.type"), "Interrupted")
        assert.deepStrictEqual(spans.map(({ status }) => status._tag), ["Ended", "Ended"])
        yield* Effect.sleep("50 millis")
        assert.strictEqual(server.asked(), 0)
        // `fetch` of Node makes a new connection in its place, for whoever comes next.
        if (transport === transportOf) assert.strictEqual(server.open(), 0)
      }))
  })
}

describe("a compressed answer", () => {
  const gzip = "content-encoding: gzip\r\n"
  const failing = (body: Buffer) =>
    Effect.gen(function*() {
      const server = yield* RawServer.make(answer(body, gzip))
      const error = yield* Effect.flip(
        Effect.provide(zhangsan, layerOf(transportOf(server), { deadline: "5 seconds", retry: false }))
      )
      return error.message
    })

  it.scopedLive("is read", () =>
    Effect.gen(function*() {
      const server = yield* RawServer.make(answer(Zlib.gzipSync(user), gzip))
      assert.strictEqual((yield* Effect.provide(zhangsan, layerOf(transportOf(server)))).name, "John")
    }))

  it.scopedLive("that grows beyond what is allowed is refused", () =>
    Effect.map(failing(Zlib.gzipSync(Buffer.alloc(1_000_000, " "))), (message) => {
      assert.match(message, /longer than 10000 bytes/)
    }))

  it.scopedLive("that is none is told as cut", () =>
    Effect.map(failing(Buffer.from("not gzip")), (message) => {
      assert.match(message, /the answer was cut \(Z_DATA_ERROR\)/)
    }))
})

describe("a call whose time runs out just when it takes the long way", () => {
  it.effect("is late, and does not go on without a deadline", () =>
    Effect.gen(function*() {
      class Probe extends Entry {
        onExpire: (() => void) | undefined = undefined
        expire(): void {
          this.onExpire?.()
        }
      }
      const probe = new Probe()
      const deadline = new Deadline(10)
      const clock = yield* Effect.clock
      yield* Effect.withFiberRuntime<void>((fiber) => {
        assert.isTrue(deadline.enter(probe, clock, fiber as Fiber.RuntimeFiber<unknown, unknown>))
        return Effect.void
      })
      yield* TestClock.adjust("10 millis")
      assert.isFalse(probe.isWaiting)
      assert.strictEqual(yield* Effect.flip(within(Effect.never, probe, () => "late")), "late")
    }))
})

describe("calls for many organisations", () => {
  it.scopedLive("have a token and a pace each, and 10,000 of them cost little", () =>
    Effect.gen(function*() {
      const server = yield* RawServer.make(answer(user))
      const callWith = yield* Effect.provide(
        makeCallWith({ deadline: "5 seconds", limiter: { perSecond: 1, app: "suite" } }),
        yield* Layer.build(transportOf(server))
      )
      const sourceOf = (corp: string): AccessToken.Source<never> => ({
        get: Effect.succeed(AccessToken.make(`of-${corp}`, Infinity)),
        invalidate: () => Effect.void
      })
      const call = (corp: string) => callWith(sourceOf(corp), corp)(Contact.GetUser, { userid: "zhangsan" })
      const start = Date.now()
      yield* Effect.all(["a", "b", "c"].map(call), { concurrency: 3 })
      // One a second each: they do not wait for one another.
      assert.isBelow(Date.now() - start, 900)
      const tokens = server.requests.map((request) => /access_token=(\S+)/.exec(request)?.[1])
      assert.deepStrictEqual(tokens.sort(), ["of-a", "of-b", "of-c"])
      const many = Array.from({ length: 10_000 }, (_, i) => callWith(sourceOf(String(i)), String(i)))
      assert.strictEqual(new Set(many).size, 10_000)
    }))
})
