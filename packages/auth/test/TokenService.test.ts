import { AppCredentials, TokenService } from "@effect-dingtalk/auth"
import { DingTalkError, Endpoint, OAuth2, Transport } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  ConfigProvider,
  Deferred,
  Duration,
  Effect,
  Exit,
  FastCheck,
  Fiber,
  Inspectable,
  Layer,
  Logger,
  Option,
  Redacted,
  Ref,
  Scope,
  TestClock
} from "effect"

type Answer = { readonly accessToken: string; readonly expireIn?: number | undefined }
type Fetch = (nth: number) => Effect.Effect<Answer, DingTalkError.CommonError>

const busy = new DingTalkError.Unavailable({ endpoint: "oauth2.getAccessToken", code: "-1" })
const badSecret = new DingTalkError.InvalidCredentials({ endpoint: "oauth2.getAccessToken" })

/** A token service over a platform that answers with `fetch`, and the number of token requests so far. */
const service = (fetch: Fetch, options: { readonly timeout?: Duration.DurationInput } = {}) =>
  Effect.gen(function*() {
    let requests = 0
    const platform = Transport.layerTest([
      Endpoint.handle(OAuth2.GetAccessToken, () => Effect.suspend(() => fetch(++requests)))
    ])
    const scope = yield* Effect.scope
    const context = yield* Layer.buildWithScope(
      TokenService.layer({ clientId: "ding1", clientSecret: Redacted.make("s1"), ...options }).pipe(
        Layer.provide(platform)
      ),
      scope
    )
    const tokens = yield* Effect.provide(TokenService.TokenService, context)
    return {
      requests: () => requests,
      get: Effect.map(tokens.get, (token) => Redacted.value(token.value)),
      token: tokens.get,
      invalidate: (value: string) => tokens.invalidate(Redacted.make(value))
    }
  })

const numbered = (expireIn: number | undefined = 7200): Fetch => (nth) =>
  Effect.succeed({ accessToken: `token-${nth}`, expireIn })

const slow = (duration: Duration.DurationInput, fetch: Fetch): Fetch => (nth) =>
  Effect.delay(Effect.suspend(() => fetch(nth)), duration)

describe("one fetch for all", () => {
  it.scoped("1,000 cold concurrent callers make 1 token request", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(slow("1 second", numbered()))
      const callers = yield* Effect.fork(
        Effect.all(Array.from({ length: 1000 }, () => get), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      const values = yield* Fiber.join(callers)
      assert.deepStrictEqual(new Set(values), new Set(["token-1"]))
      assert.strictEqual(requests(), 1)
    }))

  it.scoped("the first caller, interrupted, harms no other", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(slow("1 second", numbered()))
      const first = yield* Effect.fork(get)
      yield* TestClock.adjust("100 millis")
      const others = yield* Effect.fork(Effect.all(Array.from({ length: 9 }, () => get), { concurrency: "unbounded" }))
      yield* TestClock.adjust("100 millis")
      const gone = yield* Fiber.interrupt(first)
      assert.isTrue(Exit.isInterrupted(gone))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(new Set(yield* Fiber.join(others)), new Set(["token-1"]))
      assert.strictEqual(requests(), 1)
    }))

  it.scoped("when every caller has gone away, the next one joins the same fetch", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(slow("1 second", numbered()))
      const gone = yield* Effect.fork(Effect.all([get, get, get], { concurrency: "unbounded" }))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(gone)
      const next = yield* Effect.fork(get)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* Fiber.join(next), "token-1")
      assert.strictEqual(requests(), 1)
    }))

  it.scoped("a caller with a deadline of its own leaves at it, and the others get the token", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(slow("1 second", numbered()))
      const hasty = yield* Effect.fork(Effect.timeoutOption(get, "50 millis"))
      const patient = yield* Effect.fork(get)
      yield* TestClock.adjust("50 millis")
      assert.isTrue(Option.isNone(yield* Fiber.join(hasty)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(patient), "token-1")
      assert.strictEqual(requests(), 1)
    }))

  it.scoped("a warm token costs no request", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(numbered())
      yield* Effect.repeatN(get, 99)
      assert.strictEqual(requests(), 1)
    }))
})

describe("failures", () => {
  it.scoped("a failed fetch is not remembered as the answer", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service((nth) => nth === 1 ? Effect.fail(busy) : numbered()(nth))
      assert.strictEqual((yield* Effect.flip(get))._tag, "Unavailable")
      assert.strictEqual(yield* get, "token-2")
      assert.strictEqual(requests(), 2)
    }))

  it.scoped("all who wait for a fetch that fails get its failure, from one request", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(slow("1 second", () => Effect.fail(busy)))
      const callers = yield* Effect.fork(
        Effect.all(Array.from({ length: 100 }, () => Effect.flip(get)), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      const errors = yield* Fiber.join(callers)
      assert.isTrue(errors.length === 100 && errors.every((error) => error._tag === "Unavailable"))
      assert.strictEqual(requests(), 1)
    }))

  it.scoped("a defect of a fetch reaches its caller and no later one", () =>
    Effect.gen(function*() {
      const { get } = yield* service((nth) => nth === 1 ? Effect.dieMessage("broken") : numbered()(nth))
      const exit = yield* Effect.exit(get)
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      assert.strictEqual(yield* get, "token-2")
    }))

  it.scoped("a fetch that hangs ends at its timeout, and the next one is made", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service((nth) => nth === 1 ? Effect.never : numbered()(nth), {
        timeout: "3 seconds"
      })
      const caller = yield* Effect.fork(Effect.flip(get))
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(caller)
      assert.isTrue(error._tag === "TransportError" && error.reason === "Timeout")
      assert.strictEqual(yield* get, "token-2")
      assert.strictEqual(requests(), 2)
    }))

  it.scoped("bad credentials fail at once for 30 seconds, without a request", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service((nth) => nth === 1 ? Effect.fail(badSecret) : numbered()(nth))
      for (let i = 0; i < 50; i++) assert.strictEqual((yield* Effect.flip(get))._tag, "InvalidCredentials")
      assert.strictEqual(requests(), 1)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* get, "token-2")
    }))

  it.scoped("a throttled token request is not repeated before the platform allows it", () =>
    Effect.gen(function*() {
      const limited = new DingTalkError.RateLimited({
        endpoint: "oauth2.getAccessToken",
        dimension: "AppAndApi",
        retryAfter: Duration.seconds(2)
      })
      const { get, requests } = yield* service((nth) => nth === 1 ? Effect.fail(limited) : numbered()(nth))
      for (let i = 0; i < 10; i++) assert.strictEqual((yield* Effect.flip(get))._tag, "RateLimited")
      assert.strictEqual(requests(), 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* get, "token-2")
    }))

  it.scoped("a closed scope interrupts the fetch under way and those who wait for it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const isInterrupted = yield* Deferred.make<void>()
      const { get } = yield* service(() =>
        Effect.onInterrupt(Effect.never, () => Deferred.succeed(isInterrupted, void 0))
      ).pipe(
        Scope.extend(scope)
      )
      const caller = yield* Effect.fork(get)
      yield* TestClock.adjust("1 second")
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(isInterrupted)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(caller)))
    }))
})

describe("a life of its own", () => {
  it.effect("used after its scope has closed, it starts nothing", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { get, requests } = yield* Scope.extend(service(numbered()), scope)
      yield* get
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* get, "token-1")
      yield* TestClock.adjust("1 day")
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(get)))
      assert.strictEqual(requests(), 1)
    }))

  it.effect("built where nothing may be interrupted, it still stops with its scope", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { get, invalidate, requests } = yield* Effect.uninterruptible(Scope.extend(service(numbered()), scope))
      yield* invalidate(yield* get)
      yield* invalidate(yield* get)
      assert.strictEqual(yield* get, "token-3")
      yield* TestClock.adjust("110 minutes")
      assert.strictEqual(requests(), 4, "one timer, however many tokens there were")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(closing)))
    }))

  it.scoped("a failure that is remembered does not last longer because the clock was set back", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(86_400_000)
      const { get } = yield* service((nth) => nth === 1 ? Effect.fail(badSecret) : numbered()(nth))
      yield* Effect.flip(get)
      yield* TestClock.setTime(0)
      assert.strictEqual(yield* get, "token-2")
    }))

  it.scoped("500 callers who give up leave nothing behind but the one fetch", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(slow("5 seconds", numbered()))
      const callers = yield* Effect.fork(
        Effect.all(Array.from({ length: 500 }, () => Effect.timeoutOption(get, "1 second")), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      assert.isTrue((yield* Fiber.join(callers)).every(Option.isNone))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* get, "token-1")
      assert.strictEqual(requests(), 1)
    }))
})

describe("two windows", () => {
  it.scoped("a refresh that meets a ban sends nothing while it lasts", () =>
    Effect.gen(function*() {
      const banned = new DingTalkError.IpBanned({ endpoint: "oauth2.getAccessToken", retryAfter: Duration.minutes(5) })
      const { get, requests } = yield* service((nth) => nth === 2 ? Effect.fail(banned) : numbered()(nth))
      yield* get
      yield* TestClock.adjust("110 minutes")
      assert.strictEqual(requests(), 2)
      yield* TestClock.adjust(Duration.millis(5 * 60_000 - 1))
      for (let i = 0; i < 10; i++) assert.strictEqual(yield* get, "token-1")
      assert.strictEqual(requests(), 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* get, "token-3")
    }))

  it.scoped("10 minutes before its end a token is refreshed in the background, and nobody waits", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service((nth) =>
        nth === 1 ? numbered()(nth) : slow("5 seconds", numbered())(nth)
      )
      assert.strictEqual(yield* get, "token-1")
      yield* TestClock.adjust("109 minutes")
      assert.strictEqual(requests(), 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(requests(), 2)
      // The refresh takes 5 seconds; the old token serves.
      assert.strictEqual(yield* get, "token-1")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* get, "token-2")
      assert.strictEqual(requests(), 2)
    }))

  it.scoped("it goes on for a day, with nobody asking, at 110 minutes a time", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service(numbered())
      yield* get
      yield* TestClock.adjust("1 day")
      assert.strictEqual(requests(), 1 + Math.floor(24 * 60 / 110))
      assert.strictEqual(yield* get, `token-${requests()}`)
    }))

  it.scoped("a refresh that fails leaves the old token serving to its true end, with a pause between attempts", () =>
    Effect.gen(function*() {
      const { get, requests } = yield* service((nth) => nth === 1 ? numbered()(nth) : Effect.fail(busy))
      yield* get
      yield* TestClock.adjust("110 minutes")
      assert.strictEqual(requests(), 2)
      for (let i = 0; i < 100; i++) assert.strictEqual(yield* get, "token-1")
      assert.strictEqual(requests(), 2)
      yield* TestClock.adjust(Duration.millis(10 * 60 * 1000 - 1))
      assert.strictEqual(yield* get, "token-1")
      // 10 minutes at 30 to 60 seconds a time
      assert.isAtLeast(requests(), 10)
      assert.isAtMost(requests(), 22)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Effect.flip(get))._tag, "Unavailable")
    }))

  it.scoped("bad credentials in a refresh are no reason to drop a token that works", () =>
    Effect.gen(function*() {
      const { get } = yield* service((nth) => nth === 1 ? numbered()(nth) : Effect.fail(badSecret))
      yield* get
      yield* TestClock.adjust("115 minutes")
      assert.strictEqual(yield* get, "token-1")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* Effect.flip(get))._tag, "InvalidCredentials")
    }))

  it.scoped("a refresh that fails once is made good", () =>
    Effect.gen(function*() {
      const { get } = yield* service((nth) => nth === 2 ? Effect.fail(busy) : numbered()(nth))
      yield* get
      yield* TestClock.adjust("110 minutes")
      assert.strictEqual(yield* get, "token-1")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* get, "token-3")
    }))

  it.scoped("a failed refresh is logged, without the secret and without the token", () =>
    Effect.gen(function*() {
      const lines = yield* Ref.make(Chunk.empty<string>())
      const logger = Logger.make((entry) => {
        Effect.runSync(Ref.update(lines, Chunk.append(Logger.logfmtLogger.log(entry))))
      })
      yield* Effect.gen(function*() {
        const { get } = yield* service((nth) => nth === 1 ? numbered()(nth) : Effect.fail(busy))
        yield* get
        yield* TestClock.adjust("110 minutes")
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      const text = Chunk.join(yield* Ref.get(lines), "\n")
      assert.include(text, "token refresh failed")
      assert.include(text, "Unavailable")
      assert.notInclude(text, "token-1")
      assert.notInclude(text, "s1\"")
    }))

  it.scoped("life is counted from before the request was sent", () =>
    Effect.gen(function*() {
      const { token } = yield* service(slow("5 seconds", numbered()))
      const caller = yield* Effect.fork(token)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(caller)).expiresAt, 7_200_000)
    }))
})

describe("odd lifetimes", () => {
  const lifetimes: ReadonlyArray<readonly [name: string, expireIn: any, atMost: number]> = [
    ["absent", undefined, 2],
    ["zero", 0, 2],
    ["negative", -7200, 2],
    ["a string", "7200", 2],
    ["null", null, 2],
    ["an empty string", "", 2],
    ["shorter than the margin", 300, 2 * 7200 / 300 + 1],
    ["one second", 1, 3],
    ["a year", 31_536_000, 1],
    ["beyond every number", Number.MAX_VALUE, 1]
  ]
  for (const [name, expireIn, atMost] of lifetimes) {
    it.scoped(`${name}: no loop`, () =>
      Effect.gen(function*() {
        const { get, requests } = yield* service((nth) => Effect.succeed({ accessToken: `token-${nth}`, expireIn }))
        yield* Effect.repeatN(get, 99)
        assert.strictEqual(requests(), 1)
        // Two hours with nobody asking, then one who does.
        yield* TestClock.adjust("119 minutes")
        yield* Effect.repeatN(get, 99)
        assert.isAtMost(requests(), atMost)
      }))
  }

  it.scoped("a life that is no number is a typed error that names the field", () =>
    Effect.gen(function*() {
      const error = yield* service(() => Effect.succeed({ accessToken: "t", expireIn: "soon" as any })).pipe(
        Effect.flatMap(({ get }) => get),
        Effect.sandbox,
        Effect.flip
      )
      assert.include(Cause.pretty(error), "expireIn expected a number")
    }))

  it.scoped("the same token without a new life is not asked for early again", () =>
    Effect.gen(function*() {
      // The platform gives the same token, and says what is left of it, until it has ended.
      const { get, requests } = yield* service(() =>
        Effect.map(TestClock.currentTimeMillis, (now) => {
          const born = Math.floor(now / 7_200_000) * 7_200_000
          return { accessToken: `born-${born}`, expireIn: (born + 7_200_000 - now) / 1000 }
        })
      )
      yield* get
      yield* TestClock.adjust("119 minutes")
      assert.isAtMost(requests(), 2)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* get, "born-7200000")
    }))

  it.scoped.prop(
    "whatever lives the platform gives, a token that has ended is never served, and waiting makes few requests",
    {
      lives: FastCheck.array(FastCheck.option(FastCheck.integer({ min: -10, max: 20_000 }), { nil: undefined }), {
        minLength: 1,
        maxLength: 20
      }),
      pauses: FastCheck.array(FastCheck.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 10 })
    },
    ({ lives, pauses }) =>
      Effect.gen(function*() {
        const { requests, token } = yield* service((nth) =>
          Effect.succeed({ accessToken: `token-${nth}`, expireIn: lives[nth % lives.length] })
        )
        for (const pause of pauses) {
          yield* TestClock.adjust(Duration.seconds(pause))
          assert.isAbove((yield* token).expiresAt, yield* TestClock.currentTimeMillis)
        }
        const waited = pauses.reduce((total, pause) => total + pause, 0)
        // A timer fires once a minute at most; each caller may make one fetch, and one behind its back.
        assert.isAtMost(requests(), waited / 60 + 2 * pauses.length)
      }),
    { fastCheck: { numRuns: 50 } }
  )
})

describe("rejected tokens", () => {
  it.scoped("a rejection of the token in use makes the next caller fetch", () =>
    Effect.gen(function*() {
      const { get, invalidate, requests } = yield* service(numbered())
      const value = yield* get
      yield* invalidate(value)
      assert.strictEqual(yield* get, "token-2")
      assert.strictEqual(requests(), 2)
    }))

  it.scoped("50 callers with the same rejected token make 1 new request", () =>
    Effect.gen(function*() {
      const { get, invalidate, requests } = yield* service(slow("1 second", numbered()))
      const first = yield* Effect.fork(get)
      yield* TestClock.adjust("1 second")
      const value = yield* Fiber.join(first)
      const callers = yield* Effect.fork(
        Effect.all(Array.from({ length: 50 }, () => Effect.zipRight(invalidate(value), get)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(new Set(yield* Fiber.join(callers)), new Set(["token-2"]))
      assert.strictEqual(requests(), 2)
    }))

  it.scoped("a late rejection of an older token drops nothing", () =>
    Effect.gen(function*() {
      const { get, invalidate, requests } = yield* service(numbered())
      const old = yield* get
      yield* invalidate(old)
      assert.strictEqual(yield* get, "token-2")
      yield* invalidate(old)
      yield* invalidate("somebody else's")
      assert.strictEqual(yield* get, "token-2")
      assert.strictEqual(requests(), 2)
    }))

  it.scoped("a token rejected while it is refreshed does not come back with that refresh", () =>
    Effect.gen(function*() {
      // The platform had not noticed when the refresh was asked for, and gives the same token again.
      const { get, invalidate } = yield* service((nth) =>
        nth === 1
          ? Effect.succeed({ accessToken: "same", expireIn: 7200 })
          : slow("5 seconds", () => Effect.succeed({ accessToken: nth === 2 ? "same" : "new", expireIn: 7200 }))(nth)
      )
      yield* get
      yield* TestClock.adjust("110 minutes")
      yield* invalidate("same")
      const caller = yield* Effect.fork(get)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(caller), "new")
    }))

  it.scoped("a platform that keeps giving the token that it rejects is not asked at every call", () =>
    Effect.gen(function*() {
      const { get, invalidate, requests } = yield* service(() =>
        Effect.succeed({ accessToken: "same", expireIn: 7200 })
      )
      for (let i = 0; i < 100; i++) {
        yield* invalidate(yield* get)
        yield* TestClock.adjust("100 millis")
      }
      // 10 seconds, at most one request in 5
      assert.isAtMost(requests(), 4)
    }))
})

describe("layers", () => {
  it.effect("layerConfig reads the two variables, both kept secret", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const platform = Transport.layerTest([
        Endpoint.handle(OAuth2.GetAccessToken, (payload) => {
          seen.push(payload.appKey, Redacted.value(payload.appSecret))
          return Effect.succeed({ accessToken: "t", expireIn: 7200 })
        })
      ])
      const credentials = yield* Effect.gen(function*() {
        yield* (yield* TokenService.TokenService).get
        return yield* AppCredentials.AppCredentials
      }).pipe(
        Effect.provide(TokenService.layerConfig().pipe(Layer.provide(platform))),
        Effect.withConfigProvider(ConfigProvider.fromMap(
          new Map([["DINGTALK_CLIENT_ID", "ding1"], ["DINGTALK_CLIENT_SECRET", "sentinel-secret"]])
        ))
      )
      assert.deepStrictEqual(seen, ["ding1", "sentinel-secret"])
      assert.notInclude(Inspectable.toStringUnknown(credentials), "sentinel-secret")
    }))

  it.effect("a variable that is missing or empty is named", () =>
    Effect.gen(function*() {
      for (
        const [id, secret, name] of [["", "x", "DINGTALK_CLIENT_ID"], ["x", "", "DINGTALK_CLIENT_SECRET"]] as const
      ) {
        const error = yield* Layer.build(TokenService.layerConfig().pipe(Layer.provide(Transport.layerTest([])))).pipe(
          Effect.scoped,
          Effect.withConfigProvider(ConfigProvider.fromMap(
            new Map([["DINGTALK_CLIENT_ID", id], ["DINGTALK_CLIENT_SECRET", secret]])
          )),
          Effect.flip
        )
        assert.include(String(error), name)
      }
    }))

  it.effect("a secret with a newline at its end is refused before it is sent, by name", () =>
    Effect.gen(function*() {
      const requests: Array<unknown> = []
      const platform = Transport.layerTest([
        Endpoint.handle(OAuth2.GetAccessToken, (payload) => {
          requests.push(payload)
          return Effect.succeed({ accessToken: "t" })
        })
      ])
      const fromConfig = yield* Layer.build(TokenService.layerConfig().pipe(Layer.provide(platform))).pipe(
        Effect.scoped,
        Effect.withConfigProvider(ConfigProvider.fromMap(
          new Map([["DINGTALK_CLIENT_ID", "ding1"], ["DINGTALK_CLIENT_SECRET", "sentinel\n"]])
        )),
        Effect.flip
      )
      assert.include(String(fromConfig), "DINGTALK_CLIENT_SECRET")
      assert.include(String(fromConfig), "white space")
      assert.notInclude(String(fromConfig), "sentinel")

      const error = yield* Effect.flip(Effect.provide(
        Effect.flatMap(TokenService.TokenService, (tokens) => tokens.get),
        TokenService.layer({ clientId: "ding1", clientSecret: Redacted.make("sentinel\n") }).pipe(
          Layer.provide(platform)
        )
      ))
      assert(error._tag === "TransportError" && error.reason === "Encode")
      assert.strictEqual(error.path, "payload.appSecret")
      assert.include(error.message, "white space")
      assert.notInclude(error.message, "sentinel")
      assert.deepStrictEqual(requests, [])
    }))

  it.effect("layerTest gives a token and credentials, so that a sign-in can be tested", () =>
    Effect.gen(function*() {
      const { value } = yield* (yield* TokenService.TokenService).get
      assert.strictEqual(Redacted.value(value), "fixed")
      assert.strictEqual((yield* AppCredentials.AppCredentials).clientId, "test-client-id")
    }).pipe(Effect.provide(TokenService.layerTest("fixed"))))

  it.effect("two apps in one program have each their own token", () =>
    Effect.gen(function*() {
      const platform = Transport.layerTest([
        Endpoint.handle(OAuth2.GetAccessToken, ({ appKey }) =>
          Effect.succeed({ accessToken: `of-${appKey}`, expireIn: 7200 }))
      ])
      const of = (clientId: string) =>
        Effect.provide(
          Effect.flatMap(TokenService.TokenService, (tokens) =>
            tokens.get),
          TokenService.layer({ clientId, clientSecret: Redacted.make("s") }).pipe(Layer.provide(platform))
        )
      const [a, b] = yield* Effect.all([of("a"), of("b")], { concurrency: 2 })
      assert.deepStrictEqual([Redacted.value(a.value), Redacted.value(b.value)], ["of-a", "of-b"])
    }))
})
