/**
 * Calls that wait for their turn while the token is replaced.
 */
import { TokenService } from "@effect-dingtalk/auth"
import { Contact, DingTalk, Endpoint, TokenService as Tokens } from "@effect-dingtalk/core"
import { Emulator, EmulatorHttpClient, Fault } from "@effect-dingtalk/emulator"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import { assert, describe, it } from "@effect/vitest"
import { Clock, type Duration, Effect, Fiber, Layer, Redacted, Schema, TestClock } from "effect"

const zhangsan = Contact.getUser({ userid: "zhangsan" })

const over = <E, R>(tokens: Layer.Layer<Tokens.TokenService, E, R>) =>
  DingTalkHttp.layer().pipe(
    Layer.provide(tokens),
    Layer.provide(HttpTransport.layer()),
    Layer.provide(EmulatorHttpClient.layer),
    Layer.provideMerge(Emulator.layer({ rateLimit: 20 }))
  )

const own = TokenService.layer({ clientId: "dingquickstart", clientSecret: Redacted.make("quickstart-secret") })

/** Somebody else's, which never says what it has in memory, and takes its time each time. */
const slow = (takes: Duration.DurationInput) =>
  Layer.effect(
    Tokens.TokenService,
    Effect.map(Tokens.TokenService, ({ get, invalidate }) => ({ get: Effect.delay(get, takes), invalidate }))
  ).pipe(Layer.provide(own))

/** The most that went to the API in any of the platform's seconds, wherever these begin. */
const busiest = Effect.map(Effect.flatMap(Emulator.Emulator, (emulator) => emulator.requests), (log) => {
  const times = log.filter(({ endpoint }) => endpoint === "contact.getUser").map(({ at }) => at)
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 1000).length))
})

describe("200 calls that wait while the token expires", () => {
  for (const takes of ["0 millis", "500 millis", "2 seconds", "5 seconds"] as const) {
    it.effect(`and its replacement takes ${takes}: no throttle answer`, () =>
      Effect.gen(function*() {
        const emulator = yield* Emulator.Emulator
        yield* zhangsan
        const start = yield* Clock.currentTimeMillis
        const all = yield* Effect.forEach(Array.from({ length: 200 }), () => zhangsan, {
          concurrency: "unbounded",
          discard: true
        }).pipe(Effect.zipRight(Clock.currentTimeMillis), Effect.fork)
        yield* TestClock.adjust("2 seconds")
        yield* emulator.expireTokens
        yield* emulator.failNext(Fault.delay(takes), { matching: { path: "/v1.0/oauth2/accessToken" }, times: 1 })
        yield* TestClock.adjust("29 seconds")
        const took = (yield* Fiber.join(all)) - start
        const log = yield* emulator.requests
        assert.deepStrictEqual(log.filter(({ fault }) => fault === "Throttled"), [])
        assert.isAtMost(yield* busiest, 20)
        assert.strictEqual(log.filter(({ endpoint }) => endpoint === "oauth2.getAccessToken").length, 2)
        // Ten seconds of turns, what the token took, and the turns that were given meanwhile.
        assert.isBelow(took, 18_000)
      }).pipe(Effect.provide(over(own))))
  }
})

describe("a token service that asks somebody else each time", () => {
  for (const takes of ["5 millis", "200 millis"] as const) {
    it.effect(`and takes ${takes}: every call gets through`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(1_700_000_000_000)
        const all = yield* Effect.fork(
          Effect.forEach(Array.from({ length: 60 }), () => zhangsan, { concurrency: "unbounded", discard: true })
        )
        yield* TestClock.adjust("29 seconds")
        yield* Fiber.join(all)
      }).pipe(Effect.provide(over(slow(takes)))))
  }
})

describe("two endpoints of one path", () => {
  it.effect("have one pace, as the platform counts them together", () =>
    Effect.gen(function*() {
      const Lean = Endpoint.oapi("mine.getName", {
        path: Contact.GetUser.path,
        payload: Schema.Struct({ userid: Schema.String }),
        success: Schema.Struct({ name: Schema.String })
      })
      const emulator = yield* Emulator.Emulator
      const all = yield* Effect.fork(Effect.forEach(
        Array.from({ length: 60 }, (_, i) => i),
        (i) => i % 2 === 0 ? Effect.asVoid(zhangsan) : Effect.asVoid(DingTalk.call(Lean)({ userid: "zhangsan" })),
        { concurrency: "unbounded", discard: true }
      ))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(all)
      assert.deepStrictEqual((yield* emulator.requests).filter(({ fault }) => fault === "Throttled"), [])
    }).pipe(Effect.provide(over(own))))
})
