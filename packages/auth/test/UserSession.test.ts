import { AppCredentials, UserSession } from "@effect-dingtalk/auth"
import { Contact, DingTalk, DingTalkError, Endpoint, OAuth2 } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Inspectable, Layer, Logger, Redacted, Schema, TestClock } from "effect"

type Payload = Endpoint.Endpoint.Payload<typeof OAuth2.GetUserToken>

/** A platform with single-use codes and single-use refresh tokens. */
const platform = (
  options: { readonly expireIn?: number; readonly slow?: boolean; readonly withRefresh?: boolean } = {}
) => {
  const log: Array<string> = []
  const good = new Set(["code-1"])
  let nth = 0
  const answer = (payload: Payload) => {
    const grant = Redacted.value(payload.grantType === "authorization_code" ? payload.code : payload.refreshToken)
    log.push(grant)
    if (!good.delete(grant)) {
      return Effect.fail(
        new DingTalkError.InvalidAuthCode({
          endpoint: "oauth2.getUserToken",
          code: "invalidParameter.authCode.notFound"
        })
      )
    }
    good.add(`refresh-${++nth}`)
    return Effect.succeed({
      accessToken: `access-${nth}`,
      ...(options.withRefresh === false ? {} : { refreshToken: `refresh-${nth}` }),
      expireIn: options.expireIn ?? 7200,
      ...(nth === 1 ? { corpId: "dingcorp" } : {})
    })
  }
  return {
    log,
    break: () => good.clear(),
    layer: Layer.merge(
      AppCredentials.layer({ clientId: "ding1", clientSecret: Redacted.make("s") }),
      DingTalk.layerTest([
        Endpoint.handle(
          OAuth2.GetUserToken,
          (payload) =>
            options.slow === true ? Effect.delay(Effect.suspend(() => answer(payload)), "1 second") : answer(payload)
        ),
        Endpoint.handle(Contact.GetProfile, () => Effect.succeed({ unionId: "u", nick: "zhangsan" }))
      ])
    )
  }
}

const signIn = (options: Partial<UserSession.Options> = {}) =>
  UserSession.signIn({ authCode: Redacted.make("code-1"), ...options })

const valueOf = (session: UserSession.Session) => Effect.map(session.get, (token) => Redacted.value(token.value))

describe("signing in", () => {
  it.effect("exchanges the code once and serves its token", () => {
    const { layer, log } = platform()
    return Effect.gen(function*() {
      const session = yield* signIn()
      assert.strictEqual(yield* valueOf(session), "access-1")
      assert.strictEqual(yield* valueOf(session), "access-1")
      assert.strictEqual(session.corpId, "dingcorp")
      assert.deepStrictEqual(log, ["code-1"])
      const me = yield* Effect.provideService(Contact.getMe, UserSession.UserSession, session)
      assert.strictEqual(me.nick, "zhangsan")
    }).pipe(Effect.provide(layer))
  })

  it.effect("a code that is used up fails with InvalidAuthCode", () => {
    const { layer } = platform()
    return Effect.gen(function*() {
      yield* signIn()
      assert.strictEqual((yield* Effect.flip(signIn()))._tag, "InvalidAuthCode")
    }).pipe(Effect.provide(layer))
  })
})

describe("a session", () => {
  it.effect("refreshes when somebody asks within 10 minutes of the end, without making them wait, and rotates", () => {
    const { layer, log } = platform({ slow: true })
    const kept: Array<string> = []
    return Effect.gen(function*() {
      const signingIn = yield* Effect.fork(signIn({
        onRotate: (tokens) => Effect.sync(() => kept.push(Redacted.value(tokens.refreshToken!)))
      }))
      yield* TestClock.adjust("1 second")
      const session = yield* Fiber.join(signingIn)
      yield* TestClock.adjust("109 minutes")
      assert.deepStrictEqual(log, ["code-1"], "nobody asked, so nothing was refreshed")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* valueOf(session), "access-1")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* valueOf(session), "access-2")
      assert.deepStrictEqual(log, ["code-1", "refresh-1"])
      assert.deepStrictEqual(kept, ["refresh-2"])
      assert.strictEqual(
        (yield* session.tokens).corpId,
        "dingcorp",
        "the organisation stays, though a refresh does not repeat it"
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("100 callers after its end spend the refresh token once", () => {
    const { layer, log } = platform()
    return Effect.gen(function*() {
      const session = yield* signIn()
      yield* TestClock.adjust("3 hours")
      const values = yield* Effect.all(Array.from({ length: 100 }, () => valueOf(session)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(new Set(values), new Set(["access-2"]))
      assert.deepStrictEqual(log, ["code-1", "refresh-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a caller who goes away does not take the refresh along: its token would be lost", () => {
    const { layer, log } = platform({ slow: true })
    return Effect.gen(function*() {
      const signingIn = yield* Effect.fork(signIn())
      yield* TestClock.adjust("1 second")
      const session = yield* Fiber.join(signingIn)
      yield* TestClock.adjust("3 hours")
      const hasty = yield* Effect.fork(session.get)
      yield* TestClock.adjust("100 millis")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(hasty)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* valueOf(session), "access-2")
      assert.deepStrictEqual(log, ["code-1", "refresh-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("is over when its refresh token is refused, and does not ask again", () => {
    const p = platform()
    return Effect.gen(function*() {
      const session = yield* signIn()
      p.break()
      yield* TestClock.adjust("3 hours")
      for (let i = 0; i < 10; i++) {
        const error = yield* Effect.flip(session.get)
        assert.strictEqual(error._tag, "SignInRequired")
        assert.strictEqual(error.code, "invalidParameter.authCode.notFound")
        yield* TestClock.adjust("1 hour")
      }
      assert.deepStrictEqual(p.log, ["code-1", "refresh-1"])
    }).pipe(Effect.provide(p.layer))
  })

  it.effect("without a refresh token ends with its access token", () => {
    const { layer, log } = platform({ withRefresh: false })
    return Effect.gen(function*() {
      const session = yield* signIn()
      yield* TestClock.adjust("119 minutes")
      assert.strictEqual(yield* valueOf(session), "access-1")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(session.get))._tag, "SignInRequired")
      assert.deepStrictEqual(log, ["code-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a refused access token is replaced, and a late refusal of an older one changes nothing", () => {
    const { layer, log } = platform()
    return Effect.gen(function*() {
      const session = yield* signIn()
      yield* session.invalidate(Redacted.make("access-1"))
      assert.strictEqual(yield* valueOf(session), "access-2")
      yield* session.invalidate(Redacted.make("access-1"))
      assert.strictEqual(yield* valueOf(session), "access-2")
      assert.deepStrictEqual(log, ["code-1", "refresh-1"])
    }).pipe(Effect.provide(layer))
  })

  for (
    const [how, onRotate] of [
      ["fails with a defect", () => Effect.die("disk full")],
      ["interrupts itself", () => Effect.interrupt],
      ["hangs", () => Effect.never]
    ] as const
  ) {
    it.effect(`goes on when onRotate ${how}: one exchange, and the new token`, () => {
      const { layer, log } = platform()
      return Effect.gen(function*() {
        const session = yield* signIn({ onRotate })
        yield* TestClock.adjust("3 hours")
        const first = yield* Effect.fork(Effect.either(valueOf(session)))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(first)
        assert.strictEqual(yield* valueOf(session), "access-2")
        assert.deepStrictEqual(log, ["code-1", "refresh-1"])
      }).pipe(Effect.provide(Layer.merge(layer, Logger.remove(Logger.defaultLogger))))
    })
  }

  it.effect("an exchange that answers late is waited for by the next caller, not made again", () => {
    const log: Array<string> = []
    const layer = Layer.merge(
      AppCredentials.layerTest,
      DingTalk.layerTest([Endpoint.handle(OAuth2.GetUserToken, (payload) =>
        Effect.suspend(() => {
          log.push(payload.grantType)
          return payload.grantType === "authorization_code"
            ? Effect.succeed({ accessToken: "access-1", refreshToken: "refresh-1", expireIn: 7200 })
            : Effect.delay(
              Effect.succeed({ accessToken: "access-2", refreshToken: "refresh-2", expireIn: 7200 }),
              "12 seconds"
            )
        }))])
    )
    return Effect.gen(function*() {
      const session = yield* signIn()
      yield* TestClock.adjust("3 hours")
      const impatient = yield* Effect.fork(Effect.flip(session.get))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(impatient))._tag, "TransportError")
      yield* TestClock.adjust("2 seconds")
      const token = yield* session.get
      assert.strictEqual(Redacted.value(token.value), "access-2")
      assert.strictEqual(token.expiresAt, 3 * 3_600_000 + 7_200_000, "counted from when it was asked for")
      assert.deepStrictEqual(log, ["authorization_code", "refresh_token"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("keeps its refresh token when an answer leaves it out", () => {
    const sent: Array<string> = []
    const layer = Layer.merge(
      AppCredentials.layerTest,
      DingTalk.layerTest([Endpoint.handle(OAuth2.GetUserToken, (payload) => {
        if (payload.grantType === "refresh_token") sent.push(Redacted.value(payload.refreshToken))
        return Effect.succeed(
          payload.grantType === "authorization_code"
            ? { accessToken: "access-0", refreshToken: "refresh-1", expireIn: 7200 }
            : { accessToken: `access-${sent.length}`, expireIn: 7200 }
        )
      })])
    )
    return Effect.gen(function*() {
      const session = yield* signIn()
      for (const expected of ["access-1", "access-2"]) {
        yield* TestClock.adjust("3 hours")
        assert.strictEqual(yield* valueOf(session), expected)
      }
      assert.deepStrictEqual(sent, ["refresh-1", "refresh-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("survives being written down and taken up again", () => {
    const { layer, log } = platform()
    return Effect.gen(function*() {
      const first = yield* signIn()
      const text = JSON.stringify(yield* Schema.encode(UserSession.UserTokens)(yield* first.tokens))
      const again = yield* UserSession.resume(
        yield* Schema.decodeUnknown(UserSession.UserTokens)(JSON.parse(text))
      )
      assert.strictEqual(yield* valueOf(again), "access-1")
      assert.strictEqual(again.corpId, "dingcorp")
      yield* TestClock.adjust("3 hours")
      assert.strictEqual(yield* valueOf(again), "access-2")
      assert.deepStrictEqual(log, ["code-1", "refresh-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("shows no token when it is printed", () => {
    const { layer } = platform()
    return Effect.gen(function*() {
      const session = yield* signIn()
      const tokens = yield* session.tokens
      const text = [session, tokens, yield* session.get].map((value) =>
        `${Inspectable.toStringUnknown(value)} ${JSON.stringify(value)} ${Inspectable.format(value)}`
      ).join()
      assert.notMatch(text, /access-1|refresh-1/)
    }).pipe(Effect.provide(layer))
  })

  it.effect("two sessions at once have nothing in common", () =>
    Effect.gen(function*() {
      const [a, b] = [platform(), platform()]
      const sessionA = yield* Effect.provide(signIn(), a.layer)
      const sessionB = yield* Effect.provide(signIn(), b.layer)
      yield* sessionA.invalidate(Redacted.make("access-1"))
      assert.strictEqual(yield* valueOf(sessionA), "access-2")
      assert.strictEqual(yield* valueOf(sessionB), "access-1")
      assert.deepStrictEqual(b.log, ["code-1"])
    }))
})
