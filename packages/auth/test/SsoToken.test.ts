import { SsoToken, TokenStore } from "@effect-dingtalk/auth"
import { DingTalkError, Endpoint, OAuth2, Transport } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Inspectable, Layer, Redacted, TestClock } from "effect"

/** Gives `token-1`, `token-2`, … for an hour to who has the secret. */
const platform = () => {
  const asked: Array<string> = []
  const layer = Transport.layerTest([
    Endpoint.handle(OAuth2.GetSsoAccessToken, ({ corpid, ssoSecret }) => {
      asked.push(corpid)
      return Redacted.value(ssoSecret) === "sentinel-secret"
        ? Effect.succeed({ accessToken: `token-${asked.length}`, expireIn: 3600 })
        : Effect.fail(
          new DingTalkError.InvalidCredentials({
            endpoint: OAuth2.GetSsoAccessToken.name,
            code: "invalidClientIdOrSecret"
          })
        )
    })
  ])
  return { asked, layer }
}

const options = { corpId: "dingdeveloper", ssoSecret: Redacted.make("sentinel-secret") }

describe("SsoToken", () => {
  it.scoped("is fetched once, refreshed before its hour ends, and shared through a store", () =>
    Effect.gen(function*() {
      const { asked, layer } = platform()
      const store = yield* Layer.build(TokenStore.layerMemory())
      const make = Effect.provide(SsoToken.make(options), Layer.merge(layer, Layer.succeedContext(store)))
      const [one, other] = yield* Effect.all([make, make])
      const tokens = yield* Effect.all([one.get, one.get, other.get])
      assert.deepStrictEqual(tokens.map(({ value }) => Redacted.value(value)), ["token-1", "token-1", "token-1"])
      yield* TestClock.adjust("55 minutes")
      assert.strictEqual(Redacted.value((yield* one.get).value), "token-2")
      assert.strictEqual(Redacted.value((yield* other.get).value), "token-2")
      assert.deepStrictEqual(asked, ["dingdeveloper", "dingdeveloper"])
    }))

  it.scoped("a wrong secret is told as that, and not as a Client Secret", () =>
    Effect.gen(function*() {
      const { layer } = platform()
      const wrong = { ...options, ssoSecret: Redacted.make("sentinel-wrong") }
      const error = yield* Effect.flip(Effect.flatMap(Effect.provide(SsoToken.make(wrong), layer), ({ get }) => get))
      assert.strictEqual(error._tag, "InvalidCredentials")
      assert.include(error.message, "SSOsecret")
      assert.notInclude(error.message + Inspectable.format(error), "sentinel")
    }))

  it.effect("layerConfig reads its two settings, but for what is given", () =>
    Effect.gen(function*() {
      const { asked, layer } = platform()
      const token = Effect.flatMap(SsoToken.SsoTokenService, ({ get }) => get)
      yield* token.pipe(
        Effect.provide(SsoToken.layerConfig({ corpId: Config.string("OURS") }).pipe(Layer.provide(layer))),
        Effect.withConfigProvider(ConfigProvider.fromMap(
          new Map([["OURS", "dingdeveloper"], ["DINGTALK_SSO_SECRET", "sentinel-secret"]])
        ))
      )
      assert.deepStrictEqual(asked, ["dingdeveloper"])
    }))
})
