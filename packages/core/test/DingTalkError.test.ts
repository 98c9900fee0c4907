import { DingTalkError } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Data, Duration, Effect, Exit, FastCheck as fc, Schema } from "effect"
import { inspect } from "node:util"

type Any = DingTalkError.DingTalkError
type Tag = Any["_tag"]

const context = {
  endpoint: "contact.getUser",
  code: "88",
  subCode: "60011",
  status: 403,
  platformMessage: "没有调用该接口的权限",
  requestId: "16l4ew3d47pdp"
}
const bare = { endpoint: "contact.getUser" }

/** Every error with all that it can hold, with as little as it can, whether a replay can help, and what to do next. */
const table: {
  readonly [T in Tag]: readonly [
    full: Extract<Any, { readonly _tag: T }>,
    least: Extract<Any, { readonly _tag: T }>,
    isRetryable: boolean,
    next: RegExp
  ]
} = {
  TokenExpired: [
    new DingTalkError.TokenExpired(context),
    new DingTalkError.TokenExpired(bare),
    false,
    /Check that the credentials belong to this host's region/
  ],
  InvalidCredentials: [
    new DingTalkError.InvalidCredentials({ ...context, advice: "check the access_token of the robot's webhook URL" }),
    new DingTalkError.InvalidCredentials(bare),
    false,
    /copy Client ID and Client Secret|check the access_token/
  ],
  PermissionDenied: [
    new DingTalkError.PermissionDenied({
      ...context,
      scopes: ["qyapi_get_member", "fieldMobile"],
      permissionName: "Read user information",
      applyAt: "https://open-dev.dingtalk.com",
      advice: "the app is disabled: enable it in the console"
    }),
    new DingTalkError.PermissionDenied({ ...bare, scopes: [], applyAt: "https://open-dev.dingtalk.com" }),
    false,
    /apply for it|enable it/
  ],
  OutOfScope: [
    new DingTalkError.OutOfScope({ ...context, advice: "widen the app's contact range to hold this person" }),
    new DingTalkError.OutOfScope(bare),
    false,
    /widen/
  ],
  RateLimited: [
    new DingTalkError.RateLimited({
      ...context,
      dimension: "AppAndApi",
      retryAfter: Duration.millis(1500),
      advice: "avoid the full hour"
    }),
    new DingTalkError.RateLimited({ ...bare, dimension: "Unknown" }),
    true,
    /slow down|avoid/
  ],
  QuotaExhausted: [
    new DingTalkError.QuotaExhausted(context),
    new DingTalkError.QuotaExhausted(bare),
    false,
    /buy more in the console, or wait/
  ],
  IpNotAllowed: [
    new DingTalkError.IpNotAllowed({ ...context, ip: "14.153.172.241" }),
    new DingTalkError.IpNotAllowed(bare),
    false,
    /white list: add it in the console/
  ],
  IpBanned: [
    new DingTalkError.IpBanned({ ...context, retryAfter: Duration.minutes(5) }),
    new DingTalkError.IpBanned({ ...bare, retryAfter: Duration.minutes(5) }),
    false,
    /send nothing for 300 s/
  ],
  InvalidRequest: [
    new DingTalkError.InvalidRequest({ ...context, advice: "no such path or method on this host" }),
    new DingTalkError.InvalidRequest(bare),
    false,
    /check its parameters|no such path/
  ],
  Unavailable: [
    new DingTalkError.Unavailable({ ...context, retryAfter: Duration.seconds(3) }),
    new DingTalkError.Unavailable(bare),
    true,
    /try again later/
  ],
  ApiError: [
    new DingTalkError.ApiError({ ...context, advice: "the person must consent first" }),
    new DingTalkError.ApiError(bare),
    false,
    /answered with an error|must consent/
  ],
  TransportError: [
    new DingTalkError.TransportError({
      ...context,
      reason: "Decode",
      description: "expected a number, got an object",
      path: "result.role_list[0].id"
    }),
    new DingTalkError.TransportError({ ...bare, reason: "Network", description: "the connection was refused" }),
    false,
    /expected a number|refused/
  ],
  UserNotFound: [
    new DingTalkError.UserNotFound({ ...context, advice: "the person's account is disabled" }),
    new DingTalkError.UserNotFound(bare),
    false,
    /check the id for typos|is disabled/
  ],
  DepartmentNotFound: [
    new DingTalkError.DepartmentNotFound(context),
    new DingTalkError.DepartmentNotFound(bare),
    false,
    /check the id/
  ],
  RoleNotFound: [
    new DingTalkError.RoleNotFound(context),
    new DingTalkError.RoleNotFound(bare),
    false,
    /check the id/
  ],
  InvalidAuthCode: [
    new DingTalkError.InvalidAuthCode(context),
    new DingTalkError.InvalidAuthCode(bare),
    false,
    /start a new sign-in/
  ],
  SignInRequired: [
    new DingTalkError.SignInRequired(context),
    new DingTalkError.SignInRequired(bare),
    false,
    /send them through sign-in again/
  ]
}

const overWire = (error: Any): Any =>
  Schema.decodeUnknownSync(DingTalkError.DingTalkError)(
    JSON.parse(JSON.stringify(Schema.encodeSync(DingTalkError.DingTalkError)(error)))
  )

const fieldsOf = (error: Any): Record<string, unknown> => ({ ...error })

describe("DingTalkError", () => {
  for (const [tag, [full, least, isRetryable, next]] of Object.entries(table)) {
    describe(tag, () => {
      for (const [name, error] of [["with all", full], ["with the least", least]] as const) {
        it(`${name} survives JSON as an instance of its class`, () => {
          const back = overWire(error)
          assert.strictEqual(back._tag, tag)
          assert.strictEqual(Object.getPrototypeOf(back), Object.getPrototypeOf(error))
          assert.instanceOf(back, Error)
          assert.deepStrictEqual(fieldsOf(back), fieldsOf(error))
          assert.strictEqual(back.message, error.message)
          assert.strictEqual(back.isRetryable, error.isRetryable)
        })

        it(`${name} says what to do next`, () => {
          assert.match(error.message, /^contact\.getUser: ./)
          assert.match(error.message, next)
          assert.notMatch(error.message, /undefined|null|\[object|NaN/)
        })

        it(`${name} is one of ours`, () => {
          assert.isTrue(DingTalkError.isDingTalkError(error))
          assert.isTrue(Schema.is(DingTalkError.DingTalkError)(error))
        })
      }

      it(`is ${isRetryable ? "" : "not "}worth a replay`, () => assert.strictEqual(full.isRetryable, isRetryable))

      it("tells where, why and which request", () => {
        assert.include(full.message, "[code 60011, HTTP 403, request 16l4ew3d47pdp]")
        assert.notInclude(least.message, "[")
      })

      it("prints its fields and its message, for people and for machines", () => {
        const printed = inspect(full)
        assert.include(printed, tag)
        assert.include(printed, "16l4ew3d47pdp")
        // What a log that writes JSON shows of it says what to do next.
        assert.strictEqual(JSON.parse(JSON.stringify(full)).message, full.message)
        assert.deepInclude(JSON.parse(JSON.stringify(full)), {
          _tag: tag,
          endpoint: "contact.getUser",
          subCode: "60011"
        })
        assert.include(String(full), full.message)
      })
    })
  }

  it("the schema of all holds exactly these", () => {
    assert.deepStrictEqual(
      DingTalkError.DingTalkError.members.map((member) => member._tag).sort(),
      (Object.keys(table) as Array<Tag>).sort()
    )
  })

  it("of a transport only what never arrived is worth a replay", () => {
    const isRetryable = (reason: DingTalkError.TransportError["reason"]) =>
      new DingTalkError.TransportError({ ...bare, reason, description: "d" }).isRetryable
    assert.deepStrictEqual(
      (["Network", "Timeout", "Decode", "Encode"] as const).map(isRetryable),
      [true, true, false, false]
    )
  })

  it("a permission's message names what is missing and where to apply", () => {
    const { message } = new DingTalkError.PermissionDenied({
      ...bare,
      scopes: ["qyapi_get_member"],
      permissionName: "Read user information",
      applyAt: "https://open-dev.dingtalk.com/appscope/apply?content=ding%23qyapi_get_member"
    })
    assert.include(message, "\"Read user information\"")
    assert.include(message, "(qyapi_get_member)")
    assert.include(message, "https://open-dev.dingtalk.com/appscope/apply?content=ding%23qyapi_get_member")
  })

  it("a throttle's message tells whole seconds, and never too few", () => {
    const messageOf = (millis: number) =>
      new DingTalkError.RateLimited({ ...bare, dimension: "Api", retryAfter: Duration.millis(millis) }).message
    assert.include(messageOf(1000), "try again in 1 s")
    assert.include(messageOf(1001), "try again in 2 s")
    assert.include(messageOf(0), "try again in 0 s")
  })

  it("an address that the platform named is in the message", () => {
    assert.include(
      new DingTalkError.IpNotAllowed({ ...bare, ip: "14.153.172.241" }).message,
      "14.153.172.241 is not on"
    )
  })

  it("HTTP 200 is no news, and the sub-code comes before the code", () => {
    assert.include(new DingTalkError.ApiError({ ...bare, code: "88", status: 200 }).message, "[code 88]")
    assert.strictEqual(DingTalkError.causeCode({ ...bare, code: "88", subCode: "40014" }), "40014")
    assert.strictEqual(DingTalkError.causeCode({ ...bare, code: "60121" }), "60121")
    assert.isUndefined(DingTalkError.causeCode(bare))
  })

  it("any error at all survives JSON", () => {
    fc.assert(fc.property(Arbitrary.make(DingTalkError.DingTalkError), (error) => {
      // JSON has no infinity, and a duration is written in whole milliseconds.
      const odd = Object.values(error).some((field) =>
        (typeof field === "number" && !Number.isFinite(field)) ||
        (Duration.isDuration(field) && !Number.isSafeInteger(Duration.toMillis(field)))
      )
      fc.pre(!odd)
      const back = overWire(error)
      assert.strictEqual(back._tag, error._tag)
      assert.strictEqual(back.message, error.message)
    }))
  })

  it("what is none of ours is told apart", () => {
    class UserNotFound extends Data.TaggedError("UserNotFound")<{}> {}
    for (
      const other of [
        null,
        undefined,
        1,
        "UserNotFound",
        {},
        new Error("x"),
        { _tag: "UserNotFound" },
        new UserNotFound()
      ]
    ) {
      assert.isFalse(DingTalkError.isDingTalkError(other))
    }
  })

  it.effect("is yieldable, and caught by its tag", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.gen(function*() {
        return yield* new DingTalkError.UserNotFound(bare)
      }))
      assert.isTrue(Exit.isFailure(exit) && Cause.isFailType(exit.cause) && exit.cause.error._tag === "UserNotFound")
      const caught = yield* Effect.catchTag(new DingTalkError.UserNotFound(bare), "UserNotFound", (e) =>
        Effect.succeed(e.endpoint))
      assert.strictEqual(caught, "contact.getUser")
    }))

  it("an error of one's own takes the common fields", () => {
    class TaskNotFound extends Schema.TaggedError<TaskNotFound>("TaskNotFound")("TaskNotFound", DingTalkError.fields) {}
    assert.deepInclude({ ...new TaskNotFound(context) }, { _tag: "TaskNotFound", ...context })
  })

  it("fields of the wrong kind are no error of ours", () => {
    const is = Schema.decodeUnknownEither(DingTalkError.DingTalkError)
    for (
      const wrong of [{ _tag: "UserNotFound" }, { _tag: "Nobody", ...bare }, {
        _tag: "RateLimited",
        ...bare,
        dimension: "x"
      }]
    ) {
      assert.strictEqual(is(wrong)._tag, "Left")
    }
  })
})
