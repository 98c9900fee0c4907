import type { DingTalkError, Identifier, Int64, UserSession } from "@effect-dingtalk/core"
import { Contact, DingTalk } from "@effect-dingtalk/core"
import { Effect } from "effect"
import { describe, expect, test } from "tstyche"

type ErrorOf<T> = T extends Effect.Effect<any, infer E, any> ? E : never
type ContextOf<T> = T extends Effect.Effect<any, any, infer R> ? R : never

describe("Contact.getUser", () => {
  type Payload = Parameters<typeof Contact.getUser>[0]

  const user = Contact.getUser({ userid: "zhangsan" })

  test("fails with the common errors and UserNotFound, and needs DingTalk alone", () => {
    expect(user).type.toBe<
      Effect.Effect<Contact.User, DingTalkError.CommonError | DingTalkError.UserNotFound, DingTalk.DingTalk>
    >()
    expect<ErrorOf<typeof user>>().type.toBe<DingTalkError.CommonError | DingTalkError.UserNotFound>()
    expect<ContextOf<typeof user>>().type.toBe<DingTalk.DingTalk>()
  })

  test("takes plain and branded ids, and the two languages", () => {
    expect<{ userid: string }>().type.toBeAssignableTo<Payload>()
    expect<{ userid: Identifier.UserId }>().type.toBeAssignableTo<Payload>()
    expect<{ userid: string; language: "en_US" }>().type.toBeAssignableTo<Payload>()
    expect<{ userid: string; language: "fr_FR" }>().type.not.toBeAssignableTo<Payload>()
    expect<{ userid: number }>().type.not.toBeAssignableTo<Payload>()
    expect<{ userId: string }>().type.not.toBeAssignableTo<Payload>()
    expect<{}>().type.not.toBeAssignableTo<Payload>()
    expect<Parameters<typeof Contact.getUser>["length"]>().type.toBe<1>()
  })

  test("the same by DingTalk.call, in both its forms", () => {
    expect(DingTalk.call(Contact.GetUser, { userid: "zhangsan" })).type.toBe<typeof user>()
    expect(DingTalk.call(Contact.GetUser)).type.toBe<typeof Contact.getUser>()
    expect(DingTalk.call(Contact.GetUser)({ userid: "zhangsan" })).type.toBe<typeof user>()
  })

  test("catching UserNotFound takes it out of the error channel", () => {
    expect(Effect.catchTag(user, "UserNotFound", () => Effect.succeed(null))).type.toBe<
      Effect.Effect<Contact.User | null, DingTalkError.CommonError, DingTalk.DingTalk>
    >()
    expect(Effect.catchTag(user, "PermissionDenied", () => Effect.succeed(null))).type.toBe<
      Effect.Effect<
        Contact.User | null,
        Exclude<DingTalkError.CommonError, DingTalkError.PermissionDenied> | DingTalkError.UserNotFound,
        DingTalk.DingTalk
      >
    >()
  })

  test("does not run without DingTalk", () => {
    expect(Effect.runPromise).type.not.toBeCallableWith(user)
    expect(Effect.runPromise).type.toBeCallableWith(Effect.provide(user, DingTalk.layerTest([])))
  })
})

describe("Contact.User", () => {
  test("its ids are branded", () => {
    expect<Contact.User["userid"]>().type.toBe<Identifier.UserId>()
    expect<Contact.User["unionid"]>().type.toBe<Identifier.UnionId>()
    expect<Contact.User["dept_id_list"]>().type.toBe<ReadonlyArray<Identifier.DeptId>>()
    expect<Contact.User["dept_order_list"][number]["order"]>().type.toBe<Int64.Int64>()
    expect<Contact.User["role_list"][number]["id"]>().type.toBe<Identifier.RoleId>()
  })

  test("one kind of id is not taken for another", () => {
    expect<Identifier.UserId>().type.not.toBeAssignableTo<Identifier.UnionId>()
    expect<Identifier.UnionId>().type.not.toBeAssignableTo<Identifier.UserId>()
    expect<Identifier.DeptId>().type.not.toBeAssignableTo<Identifier.RoleId>()
    expect<string>().type.not.toBeAssignableTo<Identifier.UserId>()
    expect<Identifier.UserId>().type.toBeAssignableTo<string>()
  })

  test("has clean types, and may lack what the app may not see", () => {
    expect<Contact.User["name"]>().type.toBe<string>()
    expect<Contact.User["admin"]>().type.toBe<boolean | undefined>()
    expect<Contact.User["hired_date"]>().type.toBe<number | undefined>()
    expect<Contact.User["extension"]>().type.toBe<{ readonly [x: string]: unknown } | undefined>()
  })
})

describe("Contact.getUserByUnionId", () => {
  test("fails with the common errors and UserNotFound, and gives a branded id", () => {
    expect(Contact.getUserByUnionId({ unionid: "plain" })).type.toBe<
      Effect.Effect<
        { readonly userid: Identifier.UserId; readonly contact_type?: number | undefined },
        DingTalkError.CommonError | DingTalkError.UserNotFound,
        DingTalk.DingTalk
      >
    >()
    expect<{ unionid: string }>().type.toBeAssignableTo<Parameters<typeof Contact.getUserByUnionId>[0]>()
  })
})

describe("Contact.getMe", () => {
  test("fails with SignInRequired too, and needs a session beside DingTalk", () => {
    expect(Contact.getMe).type.toBe<
      Effect.Effect<
        Contact.Profile,
        DingTalkError.CommonError | DingTalkError.UserNotFound | DingTalkError.SignInRequired,
        DingTalk.DingTalk | UserSession.UserSession
      >
    >()
    expect(Contact.getProfile({ unionId: "me" })).type.toBe<typeof Contact.getMe>()
    expect<{ unionId: Identifier.UnionId }>().type.toBeAssignableTo<Parameters<typeof Contact.getProfile>[0]>()
  })

  test("does not run without a session", () => {
    const halfProvided = Effect.provide(Contact.getMe, DingTalk.layerTest([]))
    expect<ContextOf<typeof halfProvided>>().type.toBe<UserSession.UserSession>()
    expect(Effect.runPromise).type.not.toBeCallableWith(halfProvided)
  })
})
