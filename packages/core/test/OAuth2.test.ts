import { Hosts, Lenient, OAuth2 } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Either, Redacted } from "effect"
import { inspect } from "node:util"

describe("OAuth2.signInUrl", () => {
  const options = { clientId: "dingexample", redirectUri: "https://app.example/back?a=1&b=2", state: "s &=#" }

  it("holds what the platform asks for, encoded", () => {
    const url = new URL(OAuth2.signInUrl(Hosts.com, options))
    assert.strictEqual(url.origin + url.pathname, "https://login.dingtalk.com/oauth2/auth")
    assert.deepStrictEqual(Object.fromEntries(url.searchParams), {
      redirect_uri: "https://app.example/back?a=1&b=2",
      response_type: "code",
      client_id: "dingexample",
      scope: "openid",
      state: "s &=#",
      prompt: "consent"
    })
    assert.strictEqual(url.hash, "")
  })

  it("asks for the organisation where that is wanted, on the host that is given", () => {
    const url = new URL(OAuth2.signInUrl(Hosts.io, { ...options, scope: "openid corpid", corpId: "dingcorp" }))
    assert.strictEqual(url.host, "login.dingtalk.io")
    assert.strictEqual(url.searchParams.get("scope"), "openid corpid")
    assert.strictEqual(url.searchParams.get("corpId"), "dingcorp")
  })
})

describe("OAuth2.authCodeOf", () => {
  const codeOf = (query: unknown): string | undefined => {
    const callback = Either.getOrThrow(Lenient.decode(OAuth2.SignInCallback)(query))
    assert.notInclude(inspect(callback) + JSON.stringify(callback), "CODE")
    const code = OAuth2.authCodeOf(callback)
    return code === undefined ? undefined : Redacted.value(code)
  }

  it("reads either name, and authCode first", () => {
    assert.strictEqual(codeOf({ authCode: "CODE1", state: "s" }), "CODE1")
    assert.strictEqual(codeOf({ code: "CODE2", state: "s" }), "CODE2")
    assert.strictEqual(codeOf({ authCode: "CODE1", code: "CODE2" }), "CODE1")
  })

  it("has none where the person refused", () => {
    assert.isUndefined(codeOf({ error: "access_denied", state: "s" }))
    assert.isUndefined(codeOf({ authCode: "", code: "" }))
  })
})
