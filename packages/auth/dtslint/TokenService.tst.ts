import type { AppCredentials } from "@effect-dingtalk/auth"
import { TokenService, UserSession } from "@effect-dingtalk/auth"
import type { DingTalk, DingTalkError, Transport } from "@effect-dingtalk/core"
import type { ConfigError, Effect, Layer, Redacted } from "effect"
import { describe, expect, test } from "tstyche"

declare const clientSecret: Redacted.Redacted

describe("TokenService", () => {
  test("a Layer over a Transport alone, and from the environment it may fail with ConfigError alone", () => {
    expect(TokenService.layer({ clientId: "ding1", clientSecret })).type.toBe<
      Layer.Layer<TokenService.TokenService | AppCredentials.AppCredentials, never, Transport.Transport>
    >()
    expect(TokenService.layerConfig()).type.toBe<
      Layer.Layer<
        TokenService.TokenService | AppCredentials.AppCredentials,
        ConfigError.ConfigError,
        Transport.Transport
      >
    >()
  })

  test("a secret in clear does not compile", () => {
    expect<string>().type.not.toBeAssignableTo<Parameters<typeof TokenService.layer>[0]["clientSecret"]>()
  })
})

describe("UserSession", () => {
  test("signing in fails with the common errors and InvalidAuthCode", () => {
    expect(UserSession.signIn({ authCode: clientSecret })).type.toBe<
      Effect.Effect<
        UserSession.Session,
        DingTalkError.CommonError | DingTalkError.InvalidAuthCode,
        DingTalk.DingTalk | AppCredentials.AppCredentials
      >
    >()
  })

  test("a code in clear does not compile", () => {
    expect<string>().type.not.toBeAssignableTo<Parameters<typeof UserSession.signIn>[0]["authCode"]>()
  })
})
