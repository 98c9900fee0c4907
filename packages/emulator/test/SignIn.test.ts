import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Emulator } from "../src/index.js"
import { ask, client, exchange, json, me, post } from "./ask.js"

const fresh = Effect.provide(Emulator.layer())

const query = (overrides: Record<string, string | undefined> = {}) => {
  const parameters = {
    redirect_uri: "http://localhost:3000/callback",
    response_type: "code",
    client_id: "dingquickstart",
    scope: "openid",
    state: "a&b=\"c\" <d>",
    prompt: "consent",
    ...overrides
  }
  return new URLSearchParams(
    Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== undefined)
  ).toString()
}

const open = (overrides?: Record<string, string | undefined>) =>
  ask({ method: "GET", path: "/oauth2/auth", query: query(overrides) })

const press = (form: Record<string, string>, overrides?: Record<string, string | undefined>) =>
  ask({
    method: "POST",
    path: "/oauth2/auth",
    query: query(overrides),
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(form).toString()
  })

describe("the sign-in page", () => {
  it.effect("leads back with a code that can be exchanged, and the state untouched", () =>
    Effect.gen(function*() {
      const shown = yield* open()
      assert.strictEqual(shown.status, 200)
      assert.include(shown.headers["content-type"]!, "text/html")
      assert.include(shown.body, "value=\"zhangsan\"")
      const answer = yield* press({ userid: "manager240", decision: "consent" })
      assert.strictEqual(answer.status, 302)
      const location = new URL(answer.headers["location"]!)
      assert.strictEqual(location.origin + location.pathname, "http://localhost:3000/callback")
      assert.strictEqual(location.searchParams.get("state"), "a&b=\"c\" <d>")
      const session = json(yield* exchange(location.searchParams.get("authCode")!))
      assert.notProperty(session, "corpId")
      assert.strictEqual(json(yield* me(session.accessToken)).unionId, "m240HjQliSzpw0YWxxxxx")
    }).pipe(fresh))

  it.effect("knows the organisation, a redirect_uri with a query, and no state", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.updateApplication("dingquickstart", { redirectUris: ["https://app.example/back?from=ding"] })
      const own = { redirect_uri: "https://app.example/back?from=ding", scope: "openid corpid", state: undefined }
      const answer = yield* press({ userid: "lisi", decision: "consent" }, own)
      assert.match(answer.headers["location"]!, /^https:\/\/app\.example\/back\?from=ding&authCode=[0-9a-f]{32}$/)
      const code = new URL(answer.headers["location"]!).searchParams.get("authCode")!
      assert.strictEqual(json(yield* exchange(code)).corpId, "dingquickstartcorp")
    }).pipe(fresh))

  it.effect("a refusal leads back with an error", () =>
    Effect.gen(function*() {
      const answer = yield* press({ decision: "cancel" }, { state: "s" })
      assert.strictEqual(answer.status, 302)
      assert.strictEqual(
        answer.headers["location"],
        "http://localhost:3000/callback?error=access_denied&state=s"
      )
    }).pipe(fresh))

  it.effect("whatever is wrong is shown, escaped, and leads nowhere", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.updateApplication(undefined, { anyLoopbackRedirect: false })
      const evil = "https://evil.example/<script>alert(1)</script>"
      for (
        const overrides of [
          { client_id: "<script>alert(1)</script>" },
          { redirect_uri: evil },
          { redirect_uri: "http://localhost:3000/callback/" },
          { redirect_uri: undefined },
          { client_id: undefined },
          { response_type: undefined },
          { response_type: "token" },
          { scope: undefined },
          { scope: "corpid" }
        ]
      ) {
        for (
          const answer of [yield* open(overrides), yield* press({ userid: "lisi", decision: "consent" }, overrides)]
        ) {
          assert.strictEqual(answer.status, 400)
          assert.notProperty(answer.headers, "location")
          assert.include(answer.body, "Cannot sign in")
          assert.notInclude(answer.body, "<script>")
        }
      }
      for (const form of [{}, { decision: "consent" }, { decision: "consent", userid: "<b>" }, { userid: "lisi" }]) {
        assert.strictEqual((yield* press(form as Record<string, string>)).status, 400)
      }
      assert.strictEqual((yield* ask({ method: "PUT", path: "/oauth2/auth", query: query() })).status, 405)
    }).pipe(fresh))

  it.effect("any loopback redirect_uri, for who opts in, and nothing that only looks so", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      for (const uri of ["http://localhost:4567/x?y=z", "http://127.0.0.1:1/", "http://[::1]:5000/back"]) {
        const answer = yield* press({ userid: "lisi", decision: "consent" }, { redirect_uri: uri })
        assert.isTrue(answer.headers["location"]?.startsWith(`${uri}${uri.includes("?") ? "&" : "?"}authCode=`), uri)
      }
      for (
        const uri of [
          "http://localhost.evil.example/",
          "http://localhost@evil.example/",
          "http://me:pass@localhost/",
          "http://evil.example/?http://localhost",
          "http://localhost:4567/#x",
          "https://localhost/",
          "http://127.0.0.1.nip.io/",
          "http://localhost:4567/\r\nSet-Cookie: x",
          "http://localhost:99999/"
        ]
      ) {
        const answer = yield* open({ redirect_uri: uri })
        assert.strictEqual(answer.status, 400, uri)
        assert.include(answer.body, "<li>http://localhost:3000/callback</li>")
        assert.include(answer.body, "any port and path")
      }
      yield* emulator.updateApplication("dingquickstart", { anyLoopbackRedirect: false })
      const refused = yield* open({ redirect_uri: "http://localhost:4567/" })
      assert.strictEqual(refused.status, 400)
      assert.notInclude(refused.body, "any port and path")
    }).pipe(fresh))

  it.effect("names are escaped", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.addUser({ userid: "\"><img src=x>", unionid: "u", name: "<script>x</script>" })
      yield* emulator.updateApplication("dingquickstart", { name: "A & <B>" })
      const { body } = yield* open()
      assert.notInclude(body, "<script>")
      assert.notInclude(body, "<img")
      assert.include(body, "A &amp; &lt;B&gt;")
    }).pipe(fresh))

  it.effect("without prompt=consent the profile is refused", () =>
    Effect.gen(function*() {
      const answer = yield* press({ userid: "zhangsan", decision: "consent" }, { prompt: undefined })
      const code = new URL(answer.headers["location"]!).searchParams.get("authCode")!
      const profile = yield* me(json(yield* exchange(code)).accessToken)
      assert.strictEqual(profile.status, 403)
      assert.deepStrictEqual(json(profile).accessdenieddetail, { requiredScopes: ["Contact.User.Read"] })
    }).pipe(fresh))
})

describe("the request log", () => {
  it.effect("holds no token, no secret and no code, wherever they were put", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const code = Redacted.value(yield* emulator.consent({ userid: "zhangsan" }))
      const session = json(yield* exchange(code))
      yield* me(session.accessToken)
      const form = { "content-type": "application/x-www-form-urlencoded" }
      const secret = "do-not-show-1234"
      yield* post("/v1.0/oauth2/accessToken", { appKey: "x", appSecret: secret })
      yield* post("/v1.0/oauth2/accessToken", JSON.stringify({ appKey: "x", appSecret: secret }), form)
      yield* post("/v1.0/oauth2/accessToken", `{"appSecret":"${secret}"`)
      yield* post("/v1.0/oauth2/userAccessToken", {
        clientId: "x",
        clientSecret: secret,
        refreshToken: secret,
        code: secret
      })
      yield* post("/v1.0/oauth2/userAccessToken", { client_secret: secret, nested: [{ authCode: secret }] })
      yield* post("/v1.0/oauth2/userAccessToken", { ...client, wrapped: JSON.stringify({ refresh_token: secret }) })
      yield* post(`/topapi/v2/user/get?access_token=${secret}&userid=zhangsan`, `access_token=${secret}`, form)
      yield* ask({ method: "GET", path: `/gettoken?appkey=x&appsecret=${secret}` })
      yield* ask({ method: "GET", path: "/x/quickstart-secret", headers: { Authorization: secret, Cookie: secret } })
      yield* ask({ method: "GET", path: `/x/${session.accessToken}?q=${session.refreshToken}` })
      const text = JSON.stringify(yield* emulator.requests)
      for (const hidden of [secret, "quickstart-secret", code, session.accessToken, session.refreshToken]) {
        assert.notInclude(text, hidden)
      }
      assert.include(text, "userid=zhangsan")
    }).pipe(fresh))

  it.effect("is counted by endpoint and by path, and can be cleared", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* post("/v1.0/oauth2/accessToken", {})
      yield* post("/v1.0/oauth2/accessToken", {})
      yield* post("/topapi/nothing", {})
      assert.strictEqual(yield* emulator.count(), 3)
      assert.strictEqual(yield* emulator.count({ endpoint: "oauth2.getAccessToken" }), 2)
      assert.strictEqual(yield* emulator.count({ path: "/topapi/nothing", method: "post" }), 1)
      assert.deepStrictEqual(yield* emulator.counts, { "oauth2.getAccessToken": 2, "POST /topapi/nothing": 1 })
      yield* emulator.clearRequests
      assert.strictEqual(yield* emulator.count(), 0)
    }).pipe(fresh))
})
