/**
 * Redis goes away, hangs and comes back: no call fails for it.
 */
import { DingTalkError } from "@effect-dingtalk/core"
import { Limiter } from "@effect-dingtalk/http"
import { RedisLimiter } from "@effect-dingtalk/store-redis"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Logger, Metric } from "effect"
import type { Redis } from "ioredis"
import * as Server from "./redis.js"
import { lane, ledger, LIMIT, most, patient, unusedApp } from "./turns.js"

const prefix = Server.unusedPrefix()

Server.withServers(() => {
  describe.concurrent("while Redis", () => {
    const logs: Array<string> = []
    const quiet = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ logLevel, message }) => void logs.push(`${logLevel.label} ${String(message)}`))
    )
    const fallbacks = Effect.map(Metric.value(RedisLimiter.unshared), ({ count }) => count)

    const untilShared = (limiter: Limiter.Service, redis: Redis) =>
      Effect.gen(function*() {
        for (;;) {
          const own = lane(unusedApp())
          yield* limiter.take(own, patient)
          if ((yield* Server.keysOf(redis, `${prefix}pace:{${own.host}`)).length > 0) return
          yield* Effect.sleep("20 millis")
        }
      }).pipe(Effect.timeout("10 seconds"))

    it.scopedLive("has never been there, calls go at the process's own pace, and share it once it comes", () =>
      Effect.gen(function*() {
        const server = yield* Server.server()
        yield* server.kill
        const limiter = yield* RedisLimiter.make({ url: server.url, prefix, coolDown: "50 millis" })
        const own = lane(unusedApp())
        const { many, now, times } = ledger()
        yield* limiter.check(own)
        yield* many("x", limiter, own, 25)
        assert.isBelow(now(), 1025 + 5 * 52 + 300)
        assert.isAtMost(most(times.map(([, at]) => at), 1000), LIMIT)
        yield* limiter.pause(
          own,
          new DingTalkError.RateLimited({
            endpoint: own.endpoint,
            dimension: "AppAndApi",
            retryAfter: Duration.millis(1)
          })
        )
        yield* server.start
        const redis = yield* Server.client(server.url)
        yield* untilShared(limiter, redis)
      }).pipe(Effect.provide(quiet)))

    for (const how of ["is killed", "hangs"] as const) {
      it.scopedLive(`${how} in the middle, no call fails, none goes too early; and the pace is shared again after it`, () =>
        Effect.gen(function*() {
          const server = yield* Server.server()
          const options = { url: server.url, prefix, coolDown: "100 millis", timeout: "300 millis" } as const
          const [one, other] = yield* Effect.all([RedisLimiter.make(options), RedisLimiter.make(options)])
          const shared = lane(unusedApp())
          const { many, of, now, take } = ledger()
          const before = yield* fallbacks
          const all = yield* Effect.fork(
            Effect.all([many("one", one, shared, 25), many("other", other, shared, 25)], { concurrency: 2 })
          )
          yield* Effect.sleep("500 millis")
          yield* how === "hangs" ? server.hang : server.kill
          yield* Effect.sleep("700 millis")
          yield* take("meanwhile", one, shared, { before: Date.now() + 5000, again: true })
          yield* Fiber.join(all).pipe(Effect.timeout("8 seconds"))
          assert.strictEqual(of("one").length + of("other").length, 50)
          assert.isBelow(now(), 5000)
          assert.isAbove(yield* fallbacks, before)
          // By itself, each still keeps what the platform permits.
          for (const name of ["one", "other"]) assert.isAtMost(most(of(name), 1000), LIMIT)
          assert.isTrue(logs.some((line) => line.startsWith("WARN DingTalk limiter: Redis failed")))

          yield* how === "hangs" ? server.go : server.start
          const redis = yield* Server.client(server.url)
          for (const limiter of [one, other]) yield* untilShared(limiter, redis)
          assert.isTrue(logs.some((line) => line.startsWith("INFO DingTalk limiter: Redis is back")))
          const again = ledger()
          const fresh = lane(unusedApp())
          yield* Effect.all([again.many("a", one, fresh, 11), again.many("b", other, fresh, 11)], { concurrency: 2 })
          assert.isAtMost(most(again.times.map(([, at]) => at), 1000), LIMIT)
        }).pipe(Effect.provide(quiet)))
    }

    it.scopedLive("is a cluster, the pace is shared there", () =>
      Effect.gen(function*() {
        const { client } = yield* Server.cluster
        const build = Effect.map(
          Layer.build(Layer.fresh(RedisLimiter.layerClient(Effect.succeed(client), { prefix, timeout: "3 seconds" }))),
          Context.get(Limiter.Limiter)
        )
        const [one, other] = yield* Effect.all([build, build])
        for (let i = 0; i < 2; i++) {
          const { many, times } = ledger()
          const own = lane(unusedApp())
          yield* Effect.all([many("a", one, own, 11), many("b", other, own, 11)], { concurrency: 2 })
          assert.isAtMost(most(times.map(([, at]) => at), 1000), LIMIT)
          const places = `${prefix}pace:{${own.host}} ${own.app} ${own.endpoint} places`
          assert.isAtLeast(yield* Effect.promise(() => client.zcard(places)), 2)
        }
      }))

    it.scopedLive("is a replica, the process paces itself", () =>
      Effect.gen(function*() {
        const server = yield* Server.server("--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "yes")
        const limiter = yield* RedisLimiter.make({ url: server.url, prefix })
        const { many, now } = ledger()
        yield* many("x", limiter, lane(unusedApp()), 20)
        assert.isBelow(now(), 900)
      }).pipe(Effect.provide(quiet)))
  })
})
