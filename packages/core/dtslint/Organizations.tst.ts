import type { DingTalk, DingTalkError, SsoTokenService, SuiteTokenService, UserSession } from "@effect-dingtalk/core"
import { Contact, OAuth2, Organizations } from "@effect-dingtalk/core"
import type { Effect, Redacted } from "effect"
import { describe, expect, test } from "tstyche"

declare const code: Redacted.Redacted

describe("Organizations.within", () => {
  test("meets the need of DingTalk, and of nothing else", () => {
    expect(Organizations.within("ding1")(Contact.getUser({ userid: "u" }))).type.toBe<
      Effect.Effect<
        Contact.User,
        DingTalkError.CommonError | DingTalkError.UserNotFound,
        Organizations.Organizations
      >
    >()
    expect(Organizations.within("ding1")(Contact.getMe)).type.toBe<
      Effect.Effect<
        Contact.Profile,
        DingTalkError.CommonError | DingTalkError.UserNotFound | DingTalkError.SignInRequired,
        Organizations.Organizations | UserSession.UserSession
      >
    >()
  })
})

describe("credentials", () => {
  test("of a suite and of the admin console are requirements of their own", () => {
    expect(OAuth2.getAuthInfo({ authCorpId: "ding1" })).type.toBe<
      Effect.Effect<
        OAuth2.AuthInfo,
        DingTalkError.CommonError,
        DingTalk.DingTalk | SuiteTokenService.SuiteTokenService
      >
    >()
    expect(OAuth2.getSsoUserInfo({ code })).type.toBe<
      Effect.Effect<
        OAuth2.SsoUserInfo,
        DingTalkError.CommonError | DingTalkError.InvalidAuthCode,
        DingTalk.DingTalk | SsoTokenService.SsoTokenService
      >
    >()
    expect<string>().type.not.toBeAssignableTo<Parameters<typeof OAuth2.getSsoUserInfo>[0]["code"]>()
  })
})
