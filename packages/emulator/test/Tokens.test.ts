import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, TestClock } from "effect"
import { Emulator } from "../src/index.js"
import { app, appToken, ask, client, exchange, getUser, json, me, post, signIn } from "./ask.js"

const fresh = Effect.provide(Emulator.layer())
const HEX = /^[0-9a-f]{32}$/
const badCode = { code: "invalidParameter.authCode.notFound", message: "不合法的临时授权码" }
const isBadCode = (response: { readonly status: number; readonly body: string }) => {
  const { requestid, ...rest } = JSON.parse(response.body)
  assert.match(requestid, /^[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}$/)
  assert.deepStrictEqual([response.status, rest], [400, badCode])
}
const works = (token: string) =>
  Effect.map(post(`/topapi/v2/user/get?access_token=${token}`, { userid: "lisi" }), (r) => json(r).errcode === 0)

describe("tokens of an app", () => {
  it.effect("asking again gives the same token, renewed; after its end a new one", () =>
    Effect.gen(function*() {
      const first = json(yield* post("/v1.0/oauth2/accessToken", app))
      assert.deepStrictEqual(Object.keys(first), ["accessToken", "expireIn"])
      assert.match(first.accessToken, HEX)
      assert.strictEqual(first.expireIn, 7200)
      yield* TestClock.adjust("7000 seconds")
      const again = json(yield* post("/v1.0/oauth2/accessToken", app))
      assert.deepStrictEqual(again, first)
      yield* TestClock.adjust("7000 seconds")
      assert.isTrue(yield* works(first.accessToken))
      yield* TestClock.adjust("200 seconds")
      assert.isFalse(yield* works(first.accessToken))
      const next = json(yield* post("/v1.0/oauth2/accessToken", app))
      assert.notStrictEqual(next.accessToken, first.accessToken)
      assert.isTrue(yield* works(next.accessToken))
    }).pipe(fresh))

  it.effect("both token endpoints share one token, and both clocks count", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const token = yield* appToken
      const legacy = json(
        yield* ask({ method: "GET", path: "/gettoken?appkey=dingquickstart&appsecret=quickstart-secret" })
      )
      assert.deepStrictEqual(legacy, { errcode: 0, access_token: token, errmsg: "ok", expires_in: 7200 })
      yield* emulator.advance("2 hours")
      assert.isFalse(yield* works(token))
      assert.strictEqual(yield* emulator.now, 7_200_000)
      assert.strictEqual((yield* getUser()).headers["date"], "Thu, 01 Jan 1970 02:00:00 GMT")
    }).pipe(fresh))

  it.effect("what is not there cannot be taken away, and no error shows a token", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const token = Redacted.make(yield* appToken)
      yield* emulator.expireToken(token)
      yield* emulator.expireToken(token)
      yield* emulator.revokeToken(token)
      for (const again of [emulator.expireToken(token), emulator.revokeToken(token)]) {
        const error = yield* Effect.flip(again)
        assert.deepInclude(error, { _tag: "EmulatorError", reason: "UnknownToken", field: "token" })
        assert.include(error.message, "there are: 0 access tokens")
        assert.notInclude(error.message, Redacted.value(token))
      }
      const revoked = yield* Effect.flip(emulator.revoke("qyapi_get_membr"))
      assert.deepInclude(revoked, { reason: "NotGranted", subject: "qyapi_get_membr", field: "permission" })
      assert.include(revoked.message, "granted are: qyapi_get_member")
      yield* emulator.grant("qyapi_get_member")
      const user = yield* Effect.flip(emulator.updateUser("nobody", {}))
      assert.deepInclude(user, { reason: "UnknownUser", field: "userid" })
      assert.include(user.message, "there are: zhangsan, manager240, lisi")
    }).pipe(fresh))

  it.effect("lifetime, expiry, revocation and rotation are in our hands", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.setTokenLifetime("10 seconds")
      const token = yield* appToken
      assert.strictEqual(json(yield* post("/v1.0/oauth2/accessToken", app)).expireIn, 10)
      yield* emulator.expireToken(Redacted.make(token))
      assert.isFalse(yield* works(token))
      const second = yield* appToken
      assert.notStrictEqual(second, token)
      yield* emulator.revokeToken(Redacted.make(second))
      assert.isFalse(yield* works(second))
      const third = yield* appToken
      const secret = yield* emulator.rotateSecret()
      assert.isTrue(yield* works(third))
      assert.strictEqual((yield* post("/v1.0/oauth2/accessToken", app)).status, 400)
      const renewed = yield* post("/v1.0/oauth2/accessToken", { ...app, appSecret: Redacted.value(secret) })
      assert.strictEqual(json(renewed).accessToken, third)
      yield* emulator.expireTokens
      assert.isFalse(yield* works(third))
    }).pipe(fresh))

  it.effect("two applications never share a token, and two emulators share nothing", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.addApplication({ clientId: "other", clientSecret: Redacted.make("s") })
      const mine = yield* appToken
      const other = json(yield* post("/v1.0/oauth2/accessToken", { appKey: "other", appSecret: "s" })).accessToken
      assert.notStrictEqual(mine, other)
      const elsewhere = yield* fresh(works(mine))
      assert.isFalse(elsewhere)
    }).pipe(fresh))
})

describe("tokens of a user", () => {
  it.effect("a code is good for one exchange", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const code = Redacted.value(yield* emulator.consent({ userid: "zhangsan" }))
      const body = json(yield* exchange(code))
      assert.deepStrictEqual(Object.keys(body), ["expireIn", "accessToken", "refreshToken"])
      assert.match(body.accessToken, HEX)
      assert.match(body.refreshToken, HEX)
      isBadCode(yield* exchange(code))
      isBadCode(yield* exchange("never-issued"))
    }).pipe(fresh))

  it.effect("of fifty that exchange one code at once, exactly one wins", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const code = Redacted.value(yield* emulator.consent({ userid: "zhangsan" }))
      const answers = yield* Effect.all(Array.from({ length: 50 }, () => exchange(code)), { concurrency: "unbounded" })
      assert.strictEqual(answers.filter(({ status }) => status === 200).length, 1)
      answers.filter(({ status }) => status !== 200).forEach(isBadCode)
    }).pipe(fresh))

  it.effect("corpId comes with the scope that asks for it", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* signIn("openid corpid")).corpId, "dingquickstartcorp")
      assert.isUndefined((yield* signIn("openid")).corpId)
    }).pipe(fresh))

  it.effect("a refresh token is good for one exchange and is replaced", () =>
    Effect.gen(function*() {
      const refresh = (refreshToken: string) =>
        post("/v1.0/oauth2/userAccessToken", { ...client, grantType: "refresh_token", refreshToken })
      const first = yield* signIn("openid corpid")
      const second = json(yield* refresh(first.refreshToken))
      assert.notStrictEqual(second.refreshToken, first.refreshToken)
      assert.strictEqual(second.corpId, "dingquickstartcorp")
      assert.strictEqual((yield* me(second.accessToken)).status, 200)
      isBadCode(yield* refresh(first.refreshToken))
      yield* TestClock.adjust("29 days")
      assert.strictEqual((yield* me(second.accessToken)).status, 400)
      const third = json(yield* refresh(second.refreshToken))
      yield* TestClock.adjust("30 days")
      isBadCode(yield* refresh(third.refreshToken))
    }).pipe(fresh))

  it.effect("a code ends after five minutes and belongs to its application", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.addApplication({ clientId: "other", clientSecret: Redacted.make("s") })
      const code = Redacted.value(yield* emulator.consent({ userid: "zhangsan" }))
      isBadCode(
        yield* post("/v1.0/oauth2/userAccessToken", {
          clientId: "other",
          clientSecret: "s",
          grantType: "authorization_code",
          code
        })
      )
      yield* TestClock.adjust("5 minutes")
      isBadCode(yield* exchange(code))
    }).pipe(fresh))

  it.effect("revoking everything signs everybody out", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const session = yield* signIn()
      yield* emulator.revokeTokens
      assert.strictEqual((yield* me(session.accessToken)).status, 400)
      isBadCode(
        yield* post("/v1.0/oauth2/userAccessToken", {
          ...client,
          grantType: "refresh_token",
          refreshToken: session.refreshToken
        })
      )
    }).pipe(fresh))
})
