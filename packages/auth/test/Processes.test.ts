import { TokenService, TokenStore } from "@effect-dingtalk/auth"
import { DingTalkError, Endpoint, OAuth2, Transport } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Either, FastCheck, Fiber, Layer, Logger, Metric, Redacted } from "effect"
import type { MetricState, Scope } from "effect"
import * as sharedStore from "./simulation/sharedStore.js"
import * as virtualTime from "./simulation/virtualTime.js"

type Time = ReturnType<typeof virtualTime.make>
type Answer = { readonly accessToken: string; readonly expireIn?: number }
type Fetch = (nth: number) => Effect.Effect<Answer, DingTalkError.CommonError>

const numbered: Fetch = (nth) => Effect.succeed({ accessToken: `token-${nth}`, expireIn: 7200 })
const slow: Fetch = (nth) => Effect.delay(numbered(nth), "2 seconds")
const key: TokenStore.Key = { host: "https://api.dingtalk.com", clientId: "ding1", kind: "app" }
const HOUR = 3_600_000

const quiet = Logger.remove(Logger.defaultLogger)

/** A platform, a store, and processes that share both. */
const fleet = (time: Time, fetch: Fetch = slow) =>
  Effect.gen(function*() {
    const store = yield* sharedStore.make()
    const fetchedAt: Array<number> = []
    let answer = fetch
    const platform = Transport.layerTest([
      Endpoint.handle(OAuth2.GetAccessToken, () => {
        fetchedAt.push(time.now())
        return answer(fetchedAt.length)
      }),
      Endpoint.handle(OAuth2.GetToken, () => {
        fetchedAt.push(time.now())
        return Effect.map(answer(fetchedAt.length), ({ accessToken, expireIn = 7200 }) => ({
          access_token: accessToken,
          expires_in: expireIn
        }))
      })
    ])
    const start = (
      options: Partial<TokenService.Options> = {},
      hooks: Parameters<typeof store.process>[0] = {}
    ) =>
      Effect.gen(function*() {
        const { die, layer } = store.process(hooks)
        const tokens = yield* Effect.map(
          Layer.build(
            TokenService.layer({ clientId: "ding1", clientSecret: Redacted.make("s"), ...options }).pipe(
              Layer.provide(platform),
              Layer.provide(layer)
            )
          ),
          (context) => Effect.provide(TokenService.TokenService, context)
        )
        const service = yield* tokens
        return {
          die,
          get: Effect.map(service.get, (token) => Redacted.value(token.value)),
          token: service.get,
          invalidate: (value: string) => service.invalidate(Redacted.make(value))
        }
      })
    const inspector = yield* TokenStore.make(store.memory)
    return {
      store,
      fetchedAt,
      start,
      many: (n: number) => Effect.all(Array.from({ length: n }, () => start())),
      become: (next: Fetch) => {
        answer = next
      },
      record: Effect.map(inspector.read(key), ({ token }) => token),
      plant: (value: string, issuedAt: number, expiresAt: number) =>
        Effect.flatMap(inspector.read(key), ({ version }) =>
          inspector.write(key, { value: Redacted.make(value), issuedAt, expiresAt }, {
            replaces: version,
            keepFor: Duration.hours(10)
          }))
    }
  })

/** What a call came to, and how long it took. */
const timed = <A, E>(time: Time, effect: Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    const from = time.now()
    return Effect.map(Effect.either(effect), (result) => ({ result, took: time.now() - from }))
  })

const all = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) => Effect.all(effects, { concurrency: "unbounded" })

const during = <A, E>(time: Time, effect: Effect.Effect<A, E>, duration: Duration.DurationInput) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* time.advance(duration)
    return yield* Fiber.join(fiber)
  })

const scenario = (
  name: string,
  test: (time: Time) => Effect.Effect<void, unknown, Scope.Scope>,
  timeout = 20_000
): void =>
  it.live(name, () => {
    const time = virtualTime.make()
    return time.run(Effect.scoped(Effect.suspend(() => test(time)))).pipe(Effect.provide(quiet))
  }, timeout)

describe("8 processes over one store", () => {
  scenario("fetch once when all start at the same time, and all have the same token", (time) =>
    Effect.gen(function*() {
      const { fetchedAt, many } = yield* fleet(time)
      const processes = yield* many(8)
      const values = yield* during(time, all(processes.map(({ get }) => get)), "5 seconds")
      assert.deepStrictEqual(new Set(values), new Set(["token-1"]))
      assert.strictEqual(fetchedAt.length, 1)
    }))

  scenario(
    "fetch once each time the token is due, for 48 hours, and nobody ever waits",
    (time) =>
      Effect.gen(function*() {
        const { fetchedAt, many } = yield* fleet(time)
        const processes = yield* many(8)
        yield* during(time, all(processes.map(({ get }) => get)), "5 seconds")
        for (let minute = 0; minute < 48 * 60; minute += 5) {
          yield* time.advance("5 minutes")
          const calls = yield* during(time, all(processes.map(({ token }) => timed(time, token))), "0 seconds")
          for (const { result, took } of calls) {
            assert.strictEqual(took, 0)
            assert.isAbove(Either.getOrThrow(result).expiresAt, time.now())
          }
        }
        const gaps = fetchedAt.slice(1).map((at, i) => at - fetchedAt[i]!)
        assert.isTrue(gaps.every((gap) => gap >= 109 * 60_000 && gap <= 111 * 60_000), String(gaps))
        assert.isAtLeast(fetchedAt.length, 26)
      }),
    60_000
  )

  scenario(
    "when the one that fetches dies, the others go on after the lease, with one more fetch",
    (time) =>
      Effect.gen(function*() {
        const { become, fetchedAt, many } = yield* fleet(time, () => Effect.never)
        const [first, ...others] = yield* many(8)
        yield* Effect.fork(first!.get)
        yield* time.advance("1 second")
        first!.die()
        become(slow)
        const calls = yield* during(time, all(others.map(({ get }) => timed(time, get))), "9 seconds")
        assert.deepStrictEqual(new Set(calls.map(({ result }) => Either.getOrThrow(result))), new Set(["token-2"]))
        assert.strictEqual(fetchedAt.length, 2)
        assert.isTrue(calls.every(({ took }) => took <= 3_000 + 2_000 + 500), String(calls.map(({ took }) => took)))
      })
  )

  scenario("a lease that is lost costs one fetch, and the older result does not win", (time) =>
    Effect.gen(function*() {
      const { fetchedAt, record, start } = yield* fleet(time, (nth) =>
        Effect.delay(numbered(nth), nth === 1 ? "8 seconds" : "1 second"))
      const holder = yield* start({}, { neverRenews: true })
      const others = yield* Effect.all([start(), start(), start()])
      const slowly = yield* Effect.fork(holder.get)
      yield* time.advance("1 millis")
      const values = yield* during(
        time,
        all(others.map(({ get }) =>
          get
        )),
        "12 seconds"
      )
      assert.deepStrictEqual(new Set(values), new Set(["token-2"]))
      assert.strictEqual(yield* Fiber.join(slowly), "token-1")
      assert.strictEqual(fetchedAt.length, 2)
      assert.strictEqual(Redacted.value((yield* record)!.value), "token-2")
    }))

  scenario(
    "a rejected token is replaced by one of them, and later rejections of it change nothing",
    (time) =>
      Effect.gen(function*() {
        const { fetchedAt, many } = yield* fleet(time)
        const processes = yield* many(8)
        yield* during(time, all(processes.map(({ get }) => get)), "5 seconds")
        const replaced = all(processes.map(({ get, invalidate }) => Effect.zipRight(invalidate("token-1"), get)))
        assert.deepStrictEqual(new Set(yield* during(time, replaced, "5 seconds")), new Set(["token-2"]))
        assert.strictEqual(fetchedAt.length, 2)
        for (let i = 0; i < 3; i++) {
          assert.deepStrictEqual(new Set(yield* during(time, replaced, "5 seconds")), new Set(["token-2"]))
        }
        assert.strictEqual(fetchedAt.length, 2)
      })
  )

  scenario(
    "a platform that gives the rejected token again is asked once in 5 seconds, by all together",
    (time) =>
      Effect.gen(function*() {
        const { fetchedAt, many } = yield* fleet(time, () => Effect.succeed({ accessToken: "same", expireIn: 7200 }))
        const processes = yield* many(8)
        for (let second = 0; second < 60; second++) {
          yield* during(time, all(processes.map((one) => Effect.zipRight(one.get, one.invalidate("same")))), "1 second")
        }
        assert.isAtMost(fetchedAt.length, 1 + 60 / 5 + 2)
      })
  )
})

describe("a restart", () => {
  scenario("uses the token that is stored: no fetch", (time) =>
    Effect.gen(function*() {
      const { fetchedAt, start } = yield* fleet(time)
      yield* during(time, Effect.scoped(Effect.flatMap(start(), ({ get }) => get)), "3 seconds")
      yield* time.advance("1 hour")
      const again = yield* start()
      assert.strictEqual(yield* again.get, "token-1")
      assert.strictEqual((yield* again.token).expiresAt, 1_700_000_000_000 + 2 * HOUR)
      assert.strictEqual(fetchedAt.length, 1)
      // It is refreshed when the first one would have refreshed it.
      yield* time.advance("51 minutes")
      assert.strictEqual(fetchedAt.length, 2)
    }))

  scenario(
    "finds it under the same key however it was fetched: accessToken or gettoken",
    (time) =>
      Effect.gen(function*() {
        const { fetchedAt, start } = yield* fleet(time, numbered)
        assert.strictEqual(yield* (yield* start({ via: "gettoken" })).get, "token-1")
        assert.strictEqual(yield* (yield* start({ via: "accessToken" })).get, "token-1")
        assert.strictEqual(fetchedAt.length, 1)
      })
  )

  scenario("a token that is due is served at once and refreshed in the background", (time) =>
    Effect.gen(function*() {
      const { fetchedAt, plant, start } = yield* fleet(time)
      yield* plant("old", time.now() - 115 * 60_000, time.now() + 5 * 60_000)
      const { get } = yield* start()
      assert.strictEqual(yield* get, "old")
      assert.strictEqual(yield* get, "old")
      yield* time.advance("3 seconds")
      assert.strictEqual(yield* get, "token-1")
      assert.strictEqual(fetchedAt.length, 1)
    }))
})

const failures = Metric.value(
  Metric.counter("dingtalk.client.token.store.failures", {
    description: "operations of the token store that did not end well, by operation",
    incremental: true
  }).pipe(Metric.tagged("operation", "read"))
)

describe("a store that", () => {
  for (const mode of sharedStore.modes) {
    scenario(
      `${mode}: no call fails or waits for it, cold or at the refresh, and it is used again by itself`,
      (time) =>
        Effect.gen(function*() {
          const { fetchedAt, many, store } = yield* fleet(time, slow)
          // Beyond the fetch; one that leases and takes nothing is no store, and the most that anybody waits for another.
          const bound = 2_000 + (mode === "refusesWrites" ? 10_000 : 3_000)
          const processes = yield* many(4)
          store.become(mode)
          const cold = yield* during(time, all(processes.map(({ token }) => timed(time, token))), "20 seconds")
          assert.isTrue(cold.every(({ result, took }) => Either.isRight(result) && took <= bound), JSON.stringify(cold))
          assert.isAtMost(fetchedAt.length, 4)
          const requests = fetchedAt.length
          // Through the refresh window, and to the true end of the token that it replaces.
          for (let minute = 0; minute < 130; minute++) {
            yield* time.advance("1 minute")
            const calls = yield* during(time, all(processes.map(({ token }) => timed(time, token))), "0 seconds")
            for (const { result, took } of calls) {
              assert.strictEqual(took, 0)
              assert.isAbove(Either.getOrThrow(result).expiresAt, time.now())
            }
          }
          assert.isAtMost(fetchedAt.length, requests + 4, "each fetches for itself")
          store.become("well")
          const before = fetchedAt.length
          yield* time.advance("110 minutes")
          const healed = fetchedAt.length
          assert.isAtMost(healed - before, 1, "one for all again")
          yield* time.advance("110 minutes")
          assert.isAtMost(fetchedAt.length - healed, 1, "and again")
          const values = yield* during(time, all(processes.map(({ get }) => get)), "5 seconds")
          assert.strictEqual(new Set(values).size, 1)
        }),
      60_000
    )
  }

  scenario("is stopped while a fetch is under way: the call gets its token", (time) =>
    Effect.gen(function*() {
      const { fetchedAt, many, store } = yield* fleet(time)
      const processes = yield* many(8)
      const calls = yield* Effect.fork(all(processes.map(({ token }) => timed(time, token))))
      yield* time.advance("1 second")
      store.become("hangs")
      yield* time.advance("15 seconds")
      for (const { result, took } of yield* Fiber.join(calls)) {
        assert.isTrue(Either.isRight(result))
        assert.isAtMost(took, 1_000 + 1_000 + 2_000 + 1_500)
      }
      assert.isAtMost(fetchedAt.length, 8)
    }))

  scenario("fails is counted, and said once in a while", (time) =>
    Effect.gen(function*() {
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const before = (yield* failures as Effect.Effect<MetricState.MetricState.Counter<number>>).count
      yield* Effect.gen(function*() {
        const { many, store } = yield* fleet(time, numbered)
        store.become("fails")
        yield* all((yield* many(1)).map(({ get }) => get))
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      assert.strictEqual(warnings.filter((text) => text.includes("token store failed")).length, 1)
      assert.isAbove((yield* failures as Effect.Effect<MetricState.MetricState.Counter<number>>).count, before)
    }))
})

describe("clocks that differ", () => {
  scenario(
    "a writer whose clock is ahead makes no token live longer, and its record is not adopted twice",
    (time) =>
      Effect.gen(function*() {
        const { fetchedAt, plant, start } = yield* fleet(time, numbered)
        const ahead = 15 * 60_000
        yield* plant("ahead", time.now() + ahead, time.now() + ahead + 2 * HOUR)
        const { get, token } = yield* start()
        assert.strictEqual(yield* get, "ahead")
        assert.strictEqual((yield* token).expiresAt, time.now() + 2 * HOUR)
        yield* time.advance("111 minutes")
        assert.strictEqual(yield* get, "token-1", "refreshed in time by the clock of here")
        assert.strictEqual(fetchedAt.length, 1)
      })
  )

  scenario("a writer whose clock is behind costs at most its own part of a life", (time) =>
    Effect.gen(function*() {
      const { fetchedAt, plant, start } = yield* fleet(time, numbered)
      yield* plant("behind", time.now() - 15 * 60_000, time.now() + 105 * 60_000)
      const { get } = yield* start()
      assert.strictEqual(yield* get, "behind")
      yield* time.advance("96 minutes")
      assert.strictEqual(yield* get, "token-1")
      assert.strictEqual(fetchedAt.length, 1)
    }))

  it.live("whatever is on record, a call gets a token that ends within a life from now, and a rejected one is replaced", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.integer({ min: -400 * 24 * HOUR, max: 400 * 24 * HOUR }),
          FastCheck.integer({ min: -HOUR, max: 48 * HOUR }),
          FastCheck.boolean(),
          (skew, life, isRejected) => {
            const time = virtualTime.make(1_700_000_000_000)
            return Effect.gen(function*() {
              const { fetchedAt, plant, start } = yield* fleet(time, numbered)
              yield* plant("planted", time.now() + skew, time.now() + skew + life)
              const { get, invalidate, token } = yield* start()
              const { expiresAt, value } = yield* token
              assert.isAbove(expiresAt, time.now())
              assert.isAtMost(expiresAt, time.now() + Math.max(24 * HOUR, 2 * HOUR))
              if (isRejected) {
                yield* invalidate(Redacted.value(value))
                assert.notStrictEqual(yield* get, Redacted.value(value))
              }
              assert.isAtMost(fetchedAt.length, 2)
            }).pipe(Effect.scoped, time.run, Effect.provide(quiet), Effect.runPromise)
          }
        ),
        { numRuns: 200 }
      )
    ))
})

describe("what is seen", () => {
  scenario("a fetch that fails in one process is no failure of the others", (time) =>
    Effect.gen(function*() {
      const busy = new DingTalkError.Unavailable({ endpoint: "oauth2.getAccessToken", code: "-1" })
      const { fetchedAt, many } = yield* fleet(time, (nth) => nth === 1 ? Effect.fail(busy) : slow(nth))
      const processes = yield* many(4)
      const calls = yield* during(time, all(processes.map(({ get }) => Effect.either(get))), "10 seconds")
      assert.strictEqual(calls.filter(Either.isLeft).length, 1)
      assert.strictEqual(fetchedAt.length, 2)
    }))
})
