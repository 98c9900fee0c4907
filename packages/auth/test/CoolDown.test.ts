/**
 * What is asked of a token endpoint that fails, while there is no token to go on with.
 */
import { OrganizationTokens, TokenService } from "@effect-dingtalk/auth"
import { DingTalkError, Endpoint, OAuth2, Transport } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, FastCheck, Fiber, Layer, Logger, Redacted, Scope, TestClock } from "effect"
import * as virtualTime from "./simulation/virtualTime.js"

type Answer = { readonly accessToken: string; readonly expireIn?: number | undefined }
type Fetch = (nth: number) => Effect.Effect<Answer, DingTalkError.CommonError>

const endpoint = OAuth2.GetAccessToken.name
const busy = new DingTalkError.Unavailable({ endpoint, code: "-1" })
const throttled = new DingTalkError.RateLimited({ endpoint, dimension: "AppAndApi" })
const badSecret = new DingTalkError.InvalidCredentials({ endpoint })
const transport = (reason: DingTalkError.TransportError["reason"]) =>
  new DingTalkError.TransportError({ endpoint, reason, description: "x" })

const numbered: Fetch = (nth) => Effect.succeed({ accessToken: `token-${nth}`, expireIn: 7200 })
const failing = (error: DingTalkError.CommonError): Fetch => () => Effect.fail(error)
const failingTimes = (times: number, error: DingTalkError.CommonError): Fetch => (nth) =>
  nth <= times ? Effect.fail(error) : numbered(nth)

const quiet = Logger.remove(Logger.defaultLogger)

const service = (fetch: Fetch) =>
  Effect.gen(function*() {
    let requests = 0
    const platform = Transport.layerTest([
      Endpoint.handle(OAuth2.GetAccessToken, () => Effect.suspend(() => fetch(++requests)))
    ])
    const context = yield* Layer.build(
      TokenService.layer({ clientId: "ding1", clientSecret: Redacted.make("s1") }).pipe(Layer.provide(platform))
    )
    const tokens = Context.get(context, TokenService.TokenService)
    return {
      requests: () => requests,
      get: Effect.map(tokens.get, (token) => Redacted.value(token.value)),
      invalidate: (value: string) => tokens.invalidate(Redacted.make(value))
    }
  })

/** Until nobody is let through any more. */
const exhaust = (get: Effect.Effect<string, DingTalkError.CommonError>) => Effect.replicateEffect(Effect.flip(get), 3)

describe("a token endpoint that fails, with no token to go on with", () => {
  const errors: ReadonlyArray<readonly [name: string, error: DingTalkError.CommonError]> = [
    ["is busy", busy],
    ["cannot be reached", transport("Network")],
    ["does not answer", transport("Timeout")],
    ["answers what nobody understands", transport("Decode")],
    ["has an error of its own", new DingTalkError.ApiError({ endpoint, code: "odd" })]
  ]
  for (const [name, error] of errors) {
    it.scoped(`${name}: is asked again twice at once, and then at longer and longer intervals`, () =>
      Effect.gen(function*() {
        const { get, requests } = yield* service(failing(error))
        yield* exhaust(get)
        assert.strictEqual(requests(), 3)
        let expected = 3
        for (const seconds of [1, 2, 4, 8, 8, 8]) {
          // At least half of it, at most all of it.
          for (let i = 0; i < 10; i++) assert.strictEqual((yield* Effect.flip(get))._tag, error._tag)
          yield* TestClock.adjust(Duration.millis(seconds * 500 - 1))
          for (let i = 0; i < 10; i++) assert.strictEqual((yield* Effect.flip(get))._tag, error._tag)
          assert.strictEqual(requests(), expected)
          yield* TestClock.adjust(Duration.millis(seconds * 500 + 1))
          assert.strictEqual((yield* Effect.flip(get))._tag, error._tag)
          assert.strictEqual(requests(), ++expected)
        }
      }))
  }

  for (const retryAfter of [undefined, Duration.zero]) {
    it.scoped(`throttles without an end (${retryAfter && "0"}): is asked less from the first time on`, () =>
      Effect.gen(function*() {
        const error = new DingTalkError.RateLimited({ endpoint, dimension: "AppAndApi", retryAfter })
        const { get, requests } = yield* service(failing(error))
        let expected = 0
        for (const seconds of [1, 2, 4, 8, 8]) {
          assert.strictEqual((yield* Effect.flip(get))._tag, error._tag)
          assert.strictEqual(requests(), ++expected)
          yield* TestClock.adjust(Duration.millis(seconds * 500 - 1))
          for (let i = 0; i < 10; i++) assert.strictEqual((yield* Effect.flip(get))._tag, error._tag)
          assert.strictEqual(requests(), expected)
          yield* TestClock.adjust(Duration.millis(seconds * 500 + 1))
        }
      }))
  }

  for (const reason of ["Encode", "Store"] as const) {
    it.scoped(`is not asked at all (${reason}): nobody waits`, () =>
      Effect.gen(function*() {
        const { get } = yield* service(failingTimes(100, transport(reason)))
        yield* Effect.replicateEffect(Effect.flip(get), 100)
        assert.strictEqual(yield* get, "token-101")
      }))
  }

  it.scoped("who comes in the pause gets the very failure that began it", () =>
    Effect.gen(function*() {
      const { get } = yield* service(failing(busy))
      const failures = yield* exhaust(get)
      assert.isTrue((yield* Effect.flip(get)) === failures[2])
      assert.isFalse(failures[1] === failures[2])
    }))

  it.scoped("a defect makes nobody wait, and is told to its caller alone", () =>
    Effect.gen(function*() {
      const { get } = yield* service((nth) => nth <= 10 ? Effect.dieMessage("broken") : numbered(nth))
      for (let i = 0; i < 10; i++) assert.isTrue(Exit.isFailure(yield* Effect.exit(get)))
      assert.strictEqual(yield* get, "token-11")
    }))

  for (const failures of [1, 2]) {
    it.scoped(`${failures} in a row: all who try three times, as calls do, get through, however short they wait`, () =>
      Effect.gen(function*() {
        const { get, requests } = yield* service((nth) => Effect.delay(failingTimes(failures, busy)(nth), "10 millis"))
        const call = (first: number, second: number) =>
          get.pipe(
            Effect.catchAll(() => Effect.delay(get, first)),
            Effect.catchAll(() => Effect.delay(get, second))
          )
        const waits = Array.from({ length: 50 }, (_, i) => [i * 4, i * 8] as const)
        const callers = yield* Effect.fork(
          Effect.all(waits.map(([first, second]) => call(first, second)), { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(new Set(yield* Fiber.join(callers)), new Set([`token-${failures + 1}`]))
        assert.strictEqual(requests(), failures + 1)
      }))
  }

  it.scoped("a throttled call that waits for a second is let through", () =>
    Effect.gen(function*() {
      const { get } = yield* service(failingTimes(3, throttled))
      yield* Effect.flip(get)
      for (const seconds of [1, 2, 4]) {
        yield* TestClock.adjust(Duration.seconds(seconds))
        yield* Effect.exit(get)
      }
      assert.strictEqual(yield* get, "token-4")
    }))

  it.scoped("a success ends it: the next failure is a first one", () =>
    Effect.gen(function*() {
      const { get, invalidate, requests } = yield* service((nth) =>
        nth === 6 || nth === 9 ? numbered(nth) : Effect.fail(busy)
      )
      yield* exhaust(get)
      for (const seconds of [1, 2]) {
        yield* TestClock.adjust(Duration.seconds(seconds))
        yield* Effect.flip(get)
      }
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* get, "token-6")
      yield* invalidate("token-6")
      yield* Effect.flip(get)
      yield* Effect.flip(get)
      assert.strictEqual(yield* get, "token-9")
      yield* invalidate("token-9")
      yield* exhaust(get)
      yield* Effect.flip(get)
      assert.strictEqual(requests(), 12)
      yield* TestClock.adjust("1 second")
      yield* Effect.flip(get)
      assert.strictEqual(requests(), 13)
    }))

  it.scoped("failures that lie half a minute apart are no row", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(failing(busy))
      for (let i = 1; i <= 10; i++) {
        yield* exhaust(get)
        yield* Effect.flip(get)
        assert.strictEqual(requests(), 3 * i)
        yield* TestClock.adjust("31 seconds")
      }
    }))

  it.scoped("what cannot be mended lasts as long as ever, before and after", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service((nth) => Effect.fail(nth === 4 ? badSecret : busy))
      yield* exhaust(get)
      yield* TestClock.adjust("1 second")
      yield* Effect.flip(get)
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual((yield* Effect.flip(get))._tag, badSecret._tag)
      assert.strictEqual(requests(), 4)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Effect.flip(get))._tag, busy._tag)
    }))

  it.scoped("a caller who goes away while it is asked makes the pause no shorter", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(() => Effect.delay(Effect.fail(busy), "100 millis"))
      for (let i = 0; i < 3; i++) {
        const caller = yield* Effect.fork(get)
        yield* TestClock.adjust("50 millis")
        yield* Fiber.interrupt(caller)
        yield* TestClock.adjust("50 millis")
      }
      const patient = yield* Effect.fork(Effect.flip(Effect.retry(get, { while: () => true, times: 100 })))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(patient))._tag, busy._tag)
      assert.strictEqual(requests(), 3)
    }))

  it.effect("its scope closed in the pause: nothing is asked any more, and nobody hangs", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { get, requests } = yield* Scope.extend(service(failing(busy)), scope)
      yield* exhaust(get)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(get)))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(get)))
      assert.strictEqual(requests(), 3)
    }))

  it.scoped("each organisation has its own pauses", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const platform = Transport.layerTest([
        Endpoint.handle(OAuth2.GetOrganizationToken, ({ corpId }) =>
          Effect.suspend(() => {
            asked.push(corpId)
            return corpId === "bad" ? Effect.fail(busy) : Effect.succeed({ access_token: corpId, expires_in: 7200 })
          }))
      ])
      const { of } = Context.get(
        yield* Layer.build(
          OrganizationTokens.layer({
            clientId: "ding1",
            clientSecret: Redacted.make("s1"),
            perSecond: Number.POSITIVE_INFINITY
          })
            .pipe(Layer.provide(platform))
        ),
        OrganizationTokens.OrganizationTokens
      )
      for (let i = 0; i < 10; i++) yield* Effect.flip(of("bad").get)
      assert.strictEqual(Redacted.value((yield* of("good").get).value), "good")
      assert.deepStrictEqual(asked, ["bad", "bad", "bad", "good"])
    }))
})

describe("a token to go on with", () => {
  it.scoped("is given at once through all of an outage", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service((nth) => nth === 1 ? numbered(nth) : Effect.fail(throttled))
      yield* get
      yield* TestClock.adjust("110 minutes")
      for (let i = 0; i < 119; i++) {
        assert.strictEqual(yield* get, "token-1")
        yield* TestClock.adjust("5 seconds")
      }
      // A refresh every 30 to 60 seconds, as ever.
      assert.isAtMost(requests(), 22)
    }).pipe(Effect.provide(quiet)))

  it.scoped("refused after its refresh has failed, is replaced at once", () =>
    Effect.gen(function*() {
      const { get, invalidate } = yield* service((nth) => nth > 1 && nth <= 10 ? Effect.fail(busy) : numbered(nth))
      yield* get
      yield* TestClock.adjust("110 minutes")
      // Nine refreshes that failed, half a minute and more apart.
      yield* TestClock.adjust("9 minutes")
      const seen = yield* get
      yield* invalidate(seen)
      const next = yield* Effect.retry(get, { times: 2 })
      assert.notStrictEqual(next, seen)
    }).pipe(Effect.provide(quiet)))

  it.scoped("a refusal of any token makes no request while the endpoint fails", () =>
    Effect.gen(function*() {
      const { get, invalidate, requests } = yield* service((nth) => nth === 1 ? numbered(nth) : Effect.fail(busy))
      yield* invalidate(yield* get)
      yield* exhaust(get)
      assert.strictEqual(requests(), 4)
      for (const value of ["token-1", "another"]) {
        yield* invalidate(value)
        assert.strictEqual((yield* Effect.flip(get))._tag, busy._tag)
      }
      assert.strictEqual(requests(), 4)
    }))
})

describe("odd clocks", () => {
  for (const [name, error] of [["busy", busy], ["bad secret", badSecret]] as const) {
    it.scoped(`a clock that was set back opens the way at once (${name})`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(86_400_000)
        const { get } = yield* service((nth) => nth <= 3 ? Effect.fail(nth === 3 ? error : busy) : numbered(nth))
        yield* exhaust(get)
        yield* Effect.flip(get)
        yield* TestClock.setTime(0)
        assert.strictEqual(yield* get, "token-4")
      }))
  }

  it.scoped("set back again and again, within the pause, it keeps nobody out for longer than that", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(86_400_000)
      const { get } = yield* service(failingTimes(1, badSecret))
      yield* Effect.flip(get)
      yield* TestClock.adjust("20 seconds")
      yield* Effect.flip(get)
      // Still after the failure, by this clock.
      yield* TestClock.setTime(86_400_000 + 5_000)
      assert.strictEqual(yield* get, "token-2")
    }))

  it.scoped("a clock that runs backwards lets the failures of old days make no row, and the pause no longer", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(failing(busy))
      yield* TestClock.setTime(86_400_000)
      yield* exhaust(get)
      for (let day = 10; day > 0; day--) {
        yield* TestClock.setTime(day * 1000)
        const before = requests()
        yield* Effect.flip(get)
        assert.strictEqual(requests(), before + 1)
      }
      yield* TestClock.setTime(1000 + 8000)
      const before = requests()
      yield* Effect.flip(get)
      assert.strictEqual(requests(), before + 1)
    }))
})

describe("200 callers, each of whom comes again after a second", () => {
  for (const [name, error] of [["busy", busy], ["throttled", throttled]] as const) {
    for (const latency of [1, 300]) {
      it.live(`${name} for 20 seconds, ${latency} ms each: fewer than 20 requests, and the end is seen soon`, () => {
        const time = virtualTime.make()
        return Effect.gen(function*() {
          const from = time.now()
          const outage = 20_000
          const asked: Array<number> = []
          const { get } = yield* service((nth) => {
            const at = time.now() - from
            asked.push(at)
            return Effect.delay(at < outage ? Effect.fail(error) : numbered(nth), latency)
          })
          const through: Array<number> = []
          yield* Effect.forEach(
            Array.from({ length: 200 }, (_, i) => i),
            (i) =>
              get.pipe(
                Effect.retry({ while: () => Effect.as(Effect.sleep("1 second"), true) }),
                Effect.tap(() => Effect.sync(() => through.push(time.now() - from))),
                Effect.delay(i * 5),
                Effect.fork
              ),
            { discard: true }
          )
          yield* time.advance("31 seconds")
          const within = asked.filter((at) => at < outage)
          assert.isBelow(within.length, 20)
          assert.isAtLeast(within.length, 5)
          assert.strictEqual(asked.length, within.length + 1)
          assert.isAtMost(asked.at(-1)!, outage + 8_000 + 300 + 10)
          assert.strictEqual(through.length, 200)
        }).pipe(Effect.scoped, time.run)
      }, 20_000)
    }
  }
})

describe("whatever an endpoint answers, and however fast callers come", () => {
  type Round = { readonly answer: "busy" | "throttled" | "well"; readonly takes: number }
  const round: FastCheck.Arbitrary<Round> = FastCheck.record({
    answer: FastCheck.oneof(
      { arbitrary: FastCheck.constant("busy" as const), weight: 6 },
      { arbitrary: FastCheck.constant("throttled" as const), weight: 1 },
      { arbitrary: FastCheck.constant("well" as const), weight: 2 }
    ),
    takes: FastCheck.integer({ min: 1, max: 3000 })
  })

  it("it is asked after the n-th failure in a row when n says so, and a success begins anew", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.array(round, { minLength: 1, maxLength: 25 }),
        FastCheck.integer({ min: 10, max: 200 }),
        (rounds, every) => {
          const time = virtualTime.make()
          return Effect.gen(function*() {
            const asked: Array<{ readonly from: number; readonly to: number; readonly answer: Round["answer"] }> = []
            const { get, invalidate } = yield* service((nth) => {
              const { answer, takes } = rounds[nth - 1] ?? { answer: "busy", takes: 1 }
              asked.push({ from: time.now(), to: time.now() + takes, answer })
              return Effect.delay(
                answer === "well" ? numbered(nth) : Effect.fail(answer === "busy" ? busy : throttled),
                takes
              )
            })
            // Each token is refused at once, so that all that holds callers back is a failure.
            const caller = Effect.forever(
              Effect.zipRight(Effect.exit(Effect.flatMap(get, invalidate)), Effect.sleep(every))
            )
            yield* Effect.forkScoped(caller)
            yield* time.advance(rounds.length * 11_000 + 20_000)

            let inRow = 0
            asked.forEach(({ answer, to }, i) => {
              inRow = answer === "well" ? 0 : answer === "throttled" ? Math.max(inRow, 2) + 1 : inRow + 1
              const pause = inRow <= 2 ? 0 : Math.min(8000, 1000 * 2 ** (inRow - 3))
              const next = asked[i + 1]
              if (next === undefined) {
                assert.isAtMost(time.now() - to, pause + 2 * every)
                return
              }
              assert.isAtLeast(next.from - to, pause / 2)
              assert.isAtMost(next.from - to, pause + 2 * every)
            })
            const failed = asked.filter(({ answer }) => answer !== "well")
            const wells = asked.length - failed.length
            for (const { from } of failed) {
              const window = failed.filter((other) => other.from >= from && other.from < from + 20_000)
              assert.isAtMost(window.length, 10 + 3 * wells)
            }
          }).pipe(Effect.scoped, time.run, Effect.provide(quiet), Effect.runPromise)
        }
      ),
      { numRuns: 60 }
    ), 30_000)
})
