import type { DingTalk as DingTalkModule, UserSession } from "@effect-dingtalk/core"
import { Contact, DingTalk, DingTalkError, Endpoint, OAuth2 } from "@effect-dingtalk/core"
import type { Redacted } from "effect"
import { Effect, Schema } from "effect"
import { describe, expect, test } from "tstyche"

class SpaceFull extends Schema.TaggedError<SpaceFull>()("SpaceFull", DingTalkError.fields) {}

class SpaceLocked extends Schema.TaggedError<SpaceLocked>()("SpaceLocked", DingTalkError.fields) {}

const GetSpace = Endpoint.api("drive.getSpace", {
  method: "GET",
  path: "/v1.0/drive/spaces/{spaceId}",
  payload: Schema.Struct({ spaceId: Schema.String, since: Schema.optional(Schema.DateFromString) }),
  success: Schema.Struct({ size: Schema.NumberFromString, name: Schema.optional(Schema.String) })
})

declare const secret: Redacted.Redacted
declare const space: Schema.Schema<{ readonly spaceId: string }>

describe("Endpoint.api and Endpoint.oapi", () => {
  test("carry payload, success, errors and credential in their type", () => {
    expect(GetSpace).type.toBe<
      Endpoint.Endpoint<
        { readonly spaceId: string; readonly since?: Date | undefined },
        { readonly size: number; readonly name?: string | undefined },
        never,
        "app",
        { readonly size: string; readonly name?: string | undefined }
      >
    >()
    expect<Endpoint.Endpoint.Payload<typeof GetSpace>>().type.toBe<
      { readonly spaceId: string; readonly since?: Date | undefined }
    >()
    expect<Endpoint.Endpoint.Success<typeof GetSpace>>().type.toBe<
      { readonly size: number; readonly name?: string | undefined }
    >()
    expect<Endpoint.Endpoint.OwnError<typeof GetSpace>>().type.toBe<never>()
    expect<Endpoint.Endpoint.OwnError<typeof Contact.GetUser>>().type.toBe<DingTalkError.UserNotFound>()
  })

  test("a parameter of the path that the payload lacks does not compile", () => {
    const other = Schema.Struct({ other: Schema.String })
    const both = Schema.Struct({ spaceId: Schema.String, fileId: Schema.String })
    const success = Schema.Void
    expect(Endpoint.api).type.toBeCallableWith("x", { method: "GET", path: "/{spaceId}", payload: space, success })
    expect(Endpoint.api).type.not.toBeCallableWith("x", { method: "GET", path: "/{spaceId}", payload: other, success })
    expect(Endpoint.api).type.not.toBeCallableWith("x", {
      method: "GET",
      path: "/{spaceId}/{fileId}",
      payload: space,
      success
    })
    expect(Endpoint.api).type.toBeCallableWith("x", {
      method: "GET",
      path: "/{spaceId}/{fileId}",
      payload: both,
      success
    })
    expect(Endpoint.oapi).type.toBeCallableWith("x", { path: "/{spaceId}", payload: space, success })
    expect(Endpoint.oapi).type.not.toBeCallableWith("x", { path: "/{spaceId}", payload: other, success })
  })

  test("a field of the query that the payload lacks does not compile", () => {
    const options = { method: "POST", path: "/x", payload: space, success: Schema.Void } as const
    expect(Endpoint.api).type.toBeCallableWith("x", { ...options, query: ["spaceId"] as const })
    expect(Endpoint.api).type.not.toBeCallableWith("x", { ...options, query: ["other"] as const })
  })

  test("the legacy gateway knows GET and POST alone", () => {
    const options = { path: "/x", payload: space, success: Schema.Void } as const
    expect(Endpoint.oapi).type.toBeCallableWith("x", { ...options, method: "GET" })
    expect(Endpoint.oapi).type.not.toBeCallableWith("x", { ...options, method: "PUT" })
  })

  test("schemas that need services do not compile", () => {
    const needy = Schema.String as Schema.Schema<string, string, "Service">
    expect(Endpoint.oapi).type.not.toBeCallableWith("x", { path: "/x", payload: space, success: needy })
  })

  test("the credential decides what a call needs", () => {
    const options = { path: "/x", payload: space, success: Schema.Void } as const
    expect(DingTalk.call(Endpoint.oapi("x", { ...options, credential: "user" }), { spaceId: "s" })).type.toBe<
      Effect.Effect<
        void,
        DingTalkError.CommonError | DingTalkError.SignInRequired,
        DingTalkModule.DingTalk | UserSession.UserSession
      >
    >()
    for (const credential of ["none", "app"] as const) {
      expect(DingTalk.call(Endpoint.oapi("x", { ...options, credential }), { spaceId: "s" })).type.toBe<
        Effect.Effect<void, DingTalkError.CommonError, DingTalkModule.DingTalk>
      >()
    }
  })
})

describe("Endpoint.failsWith", () => {
  test("adds exactly the error that is given, and another one after it", () => {
    const full = GetSpace.pipe(Endpoint.failsWith(SpaceFull, "space.full"))
    expect<Endpoint.Endpoint.OwnError<typeof full>>().type.toBe<SpaceFull>()
    const both = full.pipe(Endpoint.failsWith(SpaceLocked, 1, "two"))
    expect<Endpoint.Endpoint.OwnError<typeof both>>().type.toBe<SpaceFull | SpaceLocked>()
    expect(DingTalk.call(both, { spaceId: "s" })).type.toBe<
      Effect.Effect<
        { readonly size: number; readonly name?: string | undefined },
        DingTalkError.CommonError | SpaceFull | SpaceLocked,
        DingTalkModule.DingTalk
      >
    >()
  })

  test("catching it takes it out again", () => {
    const full = GetSpace.pipe(Endpoint.failsWith(SpaceFull, "space.full"))
    const caught = DingTalk.call(full, { spaceId: "s" }).pipe(Effect.catchTag("SpaceFull", () => Effect.succeed(null)))
    expect(caught).type.toBe<
      Effect.Effect<
        { readonly size: number; readonly name?: string | undefined } | null,
        DingTalkError.CommonError,
        DingTalkModule.DingTalk
      >
    >()
  })

  test("an error that needs more than the common fields does not compile", () => {
    class Needy extends Schema.TaggedError<Needy>()("Needy", { ...DingTalkError.fields, task: Schema.String }) {}
    expect(Endpoint.failsWith).type.toBeCallableWith(SpaceFull, 1)
    expect(Endpoint.failsWith).type.not.toBeCallableWith(Needy, 1)
    expect(Endpoint.failsWith).type.not.toBeCallableWith(Error, 1)
  })
})

describe("Endpoint.handle", () => {
  test("the payload arrives as the caller gives it", () => {
    Endpoint.handle(GetSpace, (payload) => {
      expect(payload).type.toBe<{ readonly spaceId: string; readonly since?: Date | undefined }>()
      return Effect.succeed({ size: "1" })
    })
  })

  test("the answer is what the platform sends: encoded, with plain ids, and without what is optional", () => {
    type Answer = Effect.Effect<
      Schema.Schema.Encoded<typeof Contact.User>,
      DingTalkError.CommonError | DingTalkError.UserNotFound
    >
    expect(
      Endpoint.handle<
        { readonly userid: string; readonly language?: "zh_CN" | "en_US" | undefined },
        Contact.User,
        DingTalkError.UserNotFound,
        "app",
        Schema.Schema.Encoded<typeof Contact.User>
      >
    ).type.toBeCallableWith(Contact.GetUser, (): Answer => Effect.succeed({ userid: "u", unionid: "n" }))
    expect(Endpoint.handle).type.toBeCallableWith(GetSpace, () => Effect.succeed({ size: "1" }))
    expect(Endpoint.handle).type.not.toBeCallableWith(GetSpace, () => Effect.succeed({ size: 1 }))
    expect(Endpoint.handle).type.not.toBeCallableWith(GetSpace, () => Effect.succeed({}))
    expect(Endpoint.handle).type.toBeCallableWith(OAuth2.GetAccessToken, () => Effect.succeed({ accessToken: "t" }))
    expect(Endpoint.handle).type.not.toBeCallableWith(
      OAuth2.GetAccessToken,
      () => Effect.succeed({ accessToken: secret })
    )
  })

  test("it fails with what the call can fail with, and with nothing else", () => {
    const notFound = Effect.fail(new DingTalkError.UserNotFound({ endpoint: "x" }))
    const signIn = Effect.fail(new DingTalkError.SignInRequired({ endpoint: "x" }))
    expect(Endpoint.handle).type.toBeCallableWith(Contact.GetUser, () => notFound)
    expect(Endpoint.handle).type.not.toBeCallableWith(GetSpace, () => notFound)
    expect(Endpoint.handle).type.toBeCallableWith(Contact.GetProfile, () => signIn)
    expect(Endpoint.handle).type.not.toBeCallableWith(Contact.GetUser, () => signIn)
    expect(Endpoint.handle).type.not.toBeCallableWith(
      Contact.GetUser,
      () => Effect.fail(new SpaceFull({ endpoint: "x" }))
    )
  })
})

describe("OAuth2", () => {
  test("secrets are redacted on both sides", () => {
    type Payload = Parameters<typeof OAuth2.getAccessToken>[0]
    expect<{ appKey: string; appSecret: Redacted.Redacted }>().type.toBeAssignableTo<Payload>()
    expect<{ appKey: string; appSecret: string }>().type.not.toBeAssignableTo<Payload>()
    expect(OAuth2.getAccessToken({ appKey: "k", appSecret: secret })).type.toBe<
      Effect.Effect<
        { readonly accessToken: Redacted.Redacted; readonly expireIn?: number | undefined },
        DingTalkError.CommonError,
        DingTalkModule.DingTalk
      >
    >()
  })

  test("each grant has its own secret", () => {
    type Payload = Parameters<typeof OAuth2.getUserToken>[0]
    interface Client<Grant> {
      readonly clientId: string
      readonly clientSecret: Redacted.Redacted
      readonly grantType: Grant
    }
    interface Code {
      readonly code: Redacted.Redacted
    }
    interface Refresh {
      readonly refreshToken: Redacted.Redacted
    }
    expect<Client<"authorization_code"> & Code>().type.toBeAssignableTo<Payload>()
    expect<Client<"refresh_token"> & Refresh>().type.toBeAssignableTo<Payload>()
    expect<Client<"refresh_token"> & Code>().type.not.toBeAssignableTo<Payload>()
    expect<Client<"authorization_code"> & Refresh>().type.not.toBeAssignableTo<Payload>()
    expect<Client<"password"> & Code>().type.not.toBeAssignableTo<Payload>()
  })
})
