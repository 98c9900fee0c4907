import type { ErrorCode } from "@effect-dingtalk/core"
import { DingTalkError } from "@effect-dingtalk/core"
import type { Duration, Effect, Schema } from "effect"
import { describe, expect, test } from "tstyche"

describe("DingTalkError", () => {
  test("the schema of all is of exactly the errors there are", () => {
    expect<Schema.Schema.Type<typeof DingTalkError.DingTalkError>>().type.toBe<DingTalkError.DingTalkError>()
    expect<DingTalkError.DingTalkError>().type.toBe<DingTalkError.CommonError | DingTalkError.EndpointError>()
  })

  test("every one says where, why and whether to send again", () => {
    expect<DingTalkError.DingTalkError["endpoint"]>().type.toBe<string>()
    expect<DingTalkError.DingTalkError["code"]>().type.toBe<string | undefined>()
    expect<DingTalkError.DingTalkError["requestId"]>().type.toBe<string | undefined>()
    expect<DingTalkError.DingTalkError["isRetryable"]>().type.toBe<boolean>()
  })

  test("each says what only it knows", () => {
    expect<DingTalkError.PermissionDenied["scopes"]>().type.toBe<ReadonlyArray<string>>()
    expect<DingTalkError.RateLimited["dimension"]>().type.toBe<ErrorCode.Dimension>()
    expect<DingTalkError.RateLimited["retryAfter"]>().type.toBe<Duration.Duration | undefined>()
    expect<DingTalkError.IpBanned["retryAfter"]>().type.toBe<Duration.Duration>()
    expect<DingTalkError.TransportError["reason"]>().type.toBe<"Network" | "Timeout" | "Decode" | "Encode" | "Store">()
  })

  test("is yieldable", () => {
    expect(new DingTalkError.UserNotFound({ endpoint: "x" })).type.toBeAssignableTo<
      Effect.Effect<never, DingTalkError.UserNotFound>
    >()
  })
})
