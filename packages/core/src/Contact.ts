/**
 * People of an organisation: `contact` and `topapi/user` of the platform.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { DingTalk } from "./DingTalk.js"
import { call } from "./DingTalk.js"
import type { CommonError, SignInRequired } from "./DingTalkError.js"
import { InvalidAuthCode, UserNotFound } from "./DingTalkError.js"
import * as Endpoint from "./Endpoint.js"
import * as Identifier from "./Identifier.js"
import * as Int64 from "./Int64.js"
import * as optional from "./internal/optional.js"
import type { UserSession } from "./UserSession.js"

// `optionalWith` says the same, and is a kilobyte of a bundle.
const listOf = <A, I>(item: Schema.Schema<A, I>) =>
  Schema.withDefaults(Schema.optional(Schema.Array(item)), { constructor: () => [], decoding: () => [] })

/**
 * @since 0.1.0
 * @category schemas
 */
export const Role = Schema.Struct({
  id: Identifier.RoleId,
  name: Schema.String,
  group_name: optional.string
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const UnionEmployee = Schema.Struct({
  userid: Schema.optional(Identifier.UserId),
  corp_id: Schema.optional(Identifier.CorpId)
})

/**
 * A person as `/topapi/v2/user/get` tells them. A field that the app may not see is absent, without an error; `""` and
 * `null` are absent too, and a list without members is empty. Source: reference 6.2.
 *
 * @since 0.1.0
 * @category schemas
 */
export const User = Schema.Struct({
  userid: Identifier.UserId,
  unionid: Identifier.UnionId,
  /** `""` where the platform keeps it back, as it does from third-party apps */
  name: Schema.withDefaults(optional.string, { constructor: () => "", decoding: () => "" }),
  /** URL; absent with the default picture */
  avatar: optional.string,
  /** country calling code, such as `86`; needs `fieldMobile` */
  state_code: optional.string,
  /** needs `fieldMobile` */
  mobile: optional.string,
  hide_mobile: optional.boolean,
  telephone: optional.string,
  job_number: optional.string,
  title: optional.string,
  /** needs `fieldEmail` */
  email: optional.string,
  org_email: optional.string,
  org_email_type: optional.string,
  /** needs `fieldEmail` */
  work_place: optional.string,
  /** needs `fieldEmail` */
  remark: optional.string,
  /** the organisation's own fields; on the wire JSON in a string; needs `fieldEmail` */
  extension: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  manager_userid: Schema.optional(Identifier.UserId),
  /** of a dedicated account */
  login_id: optional.string,
  exclusive_account: optional.boolean,
  /** `sso`, `dingtalk`, or what the platform adds */
  exclusive_account_type: optional.string,
  active: optional.boolean,
  real_authed: optional.boolean,
  senior: optional.boolean,
  admin: optional.boolean,
  boss: optional.boolean,
  /** milliseconds since the epoch */
  hired_date: optional.number,
  /** ISO 8601, such as `2024-07-15T07:05:43.000Z` */
  create_time: optional.string,
  dept_id_list: listOf(Identifier.DeptId),
  /** `order` is above 2^53 in practice */
  dept_order_list: listOf(Schema.Struct({ dept_id: Identifier.DeptId, order: Int64.Int64 })),
  leader_in_dept: listOf(Schema.Struct({ dept_id: Identifier.DeptId, leader: Schema.Boolean })),
  dept_position_list: listOf(Schema.Struct({
    dept_id: Identifier.DeptId,
    is_main: optional.boolean,
    title: optional.string,
    work_place: optional.string
  })),
  role_list: listOf(Role),
  /** the person in the organisations that this one is united with */
  union_emp_ext: Schema.optional(Schema.Struct({
    ...UnionEmployee.fields,
    union_emp_map_list: listOf(UnionEmployee)
  }))
})

/**
 * @since 0.1.0
 * @category models
 */
export interface User extends Schema.Schema.Type<typeof User> {}

/**
 * `POST /topapi/v2/user/get`. Source: reference 6.2 and the guide, step 4.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetUser = Endpoint.oapi("contact.getUser", {
  path: "/topapi/v2/user/get",
  payload: Schema.Struct({
    userid: Identifier.unbranded(Identifier.UserId),
    /** of names that the organisation has in two languages; the platform's default is `zh_CN` */
    language: Schema.optional(Schema.Literal("zh_CN", "en_US"))
  }),
  success: User,
  permission: { scope: "qyapi_get_member", name: "Read user information" },
  idempotent: true
}).pipe(Endpoint.failsWith(UserNotFound, 60121, 33012))

/**
 * A person's details.
 *
 * @since 0.1.0
 * @category functions
 * @example
 * ```ts
 * import { Contact } from "@effect-dingtalk/core"
 * import { Effect, Option } from "effect"
 *
 * // Effect<Option<User>, CommonError, DingTalk>
 * const program = Contact.getUser({ userid: "zhangsan" }).pipe(
 *   Effect.asSome,
 *   Effect.catchTag("UserNotFound", () => Effect.succeed(Option.none<Contact.User>()))
 * )
 * console.log(Effect.isEffect(program)) // true
 * ```
 */
export const getUser: (
  payload: { readonly userid: string; readonly language?: "zh_CN" | "en_US" | undefined }
) => Effect.Effect<User, CommonError | UserNotFound, DingTalk> = call(GetUser)

/**
 * @since 0.1.0
 * @category schemas
 */
export const UserByUnionId = Schema.Struct({
  userid: Identifier.UserId,
  /** 0: member of the organisation, 1: external contact */
  contact_type: optional.number
})

/**
 * @since 0.1.0
 * @category models
 */
export interface UserByUnionId extends Schema.Schema.Type<typeof UserByUnionId> {}

/**
 * `POST /topapi/user/getbyunionid`. Source: reference 6.4.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetUserByUnionId = Endpoint.oapi("contact.getUserByUnionId", {
  path: "/topapi/user/getbyunionid",
  payload: Schema.Struct({ unionid: Identifier.unbranded(Identifier.UnionId) }),
  success: UserByUnionId,
  permission: { scope: "qyapi_get_member", name: "Read user information" },
  idempotent: true
}).pipe(Endpoint.failsWith(UserNotFound, 60121, 33012))

/**
 * The `userid`, in this organisation, of a person who signed in.
 *
 * @since 0.1.0
 * @category functions
 * @example
 * ```ts
 * import { Contact } from "@effect-dingtalk/core"
 * import { Effect } from "effect"
 *
 * // who signed in, and what the organisation knows of them: needs DingTalk and a UserSession
 * const colleague = Effect.gen(function*() {
 *   const { unionId } = yield* Contact.getMe
 *   const { userid } = yield* Contact.getUserByUnionId({ unionid: unionId })
 *   return yield* Contact.getUser({ userid })
 * })
 * console.log(Effect.isEffect(colleague)) // true
 * ```
 */
export const getUserByUnionId: (
  payload: { readonly unionid: string }
) => Effect.Effect<UserByUnionId, CommonError | UserNotFound, DingTalk> = call(GetUserByUnionId)

/**
 * Who opened a page inside DingTalk. Source: reference 1.8.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UserInfo = Schema.Struct({
  userid: Identifier.UserId,
  unionid: Schema.optional(Identifier.UnionId),
  associated_unionid: Schema.optional(Identifier.UnionId),
  name: optional.string,
  device_id: optional.string,
  /** whether they administer the organisation */
  sys: optional.boolean,
  /** 0 none, 1 main administrator, 2 sub-administrator, 100 owner */
  sys_level: optional.number
})

/**
 * @since 0.1.0
 * @category models
 */
export interface UserInfo extends Schema.Schema.Type<typeof UserInfo> {}

/**
 * `POST /topapi/v2/user/getuserinfo`: exchanges the code that `requestAuthCode` gives a page inside DingTalk; it lives 5
 * minutes, for one use, and is not the `authCode` of the sign-in page. Source: reference 1.8.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetUserInfo = Endpoint.oapi("contact.getUserInfo", {
  path: "/topapi/v2/user/getuserinfo",
  payload: Schema.Struct({ code: Schema.Redacted(Schema.NonEmptyString) }),
  success: UserInfo
}).pipe(Endpoint.failsWith(InvalidAuthCode))

/**
 * Who opened the page inside DingTalk that asked for this code.
 *
 * @since 0.1.0
 * @category functions
 * @example
 * ```ts
 * import { Contact } from "@effect-dingtalk/core"
 * import { Effect, Redacted } from "effect"
 *
 * // in the handler of your page's request; needs DingTalk
 * const visitor = (code: string) => Contact.getUserInfo({ code: Redacted.make(code) })
 * console.log(Effect.isEffect(visitor("a1b2"))) // true
 * ```
 */
export const getUserInfo: (
  payload: { readonly code: Redacted.Redacted }
) => Effect.Effect<UserInfo, CommonError | InvalidAuthCode, DingTalk> = call(GetUserInfo)

/**
 * A person as they present themselves to an app that they signed in to. Source: reference 6.3.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Profile = Schema.Struct({
  unionId: Identifier.UnionId,
  openId: Schema.optional(Identifier.OpenId),
  nick: optional.string,
  /** URL */
  avatarUrl: optional.string,
  /** needs the field permission `Contact.User.mobile` */
  mobile: optional.string,
  /** country calling code, such as `86` */
  stateCode: optional.string,
  email: optional.string,
  loginEmail: optional.string,
  visitor: optional.boolean
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Profile extends Schema.Schema.Type<typeof Profile> {}

/**
 * `GET /v1.0/contact/users/{unionId}`, with the token of a user. Source: reference 6.3 and the guide, step 4.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetProfile = Endpoint.api("contact.getProfile", {
  method: "GET",
  path: "/v1.0/contact/users/{unionId}",
  credential: "user",
  payload: Schema.Struct({
    /** `me` for the person whose session it is */
    unionId: Identifier.unbranded(Identifier.UnionId)
  }),
  success: Profile,
  permission: { scope: "Contact.User.Read", name: "Read personal information from Contacts" }
}).pipe(Endpoint.failsWith(UserNotFound, "invalidParameter.user.notFound"))

/**
 * The profile of the person whose session it is, or of one whom they can see.
 *
 * @since 0.1.0
 * @category functions
 */
export const getProfile: (
  payload: { readonly unionId: string }
) => Effect.Effect<Profile, CommonError | UserNotFound | SignInRequired, DingTalk | UserSession> = call(GetProfile)

/**
 * The profile of the person whose session it is.
 *
 * @since 0.1.0
 * @category functions
 * @example
 * ```ts
 * import { Contact, DingTalk, Endpoint, UserSession } from "@effect-dingtalk/core"
 * import { Effect, Layer } from "effect"
 *
 * const test = Layer.merge(
 *   UserSession.layerTest(),
 *   DingTalk.layerTest([
 *     Endpoint.handle(Contact.GetProfile, () => Effect.succeed({ unionId: "u1", nick: "zhangsan" }))
 *   ])
 * )
 * Effect.runPromise(Effect.provide(Contact.getMe, test)).then((me) => console.log(me.nick)) // zhangsan
 * ```
 */
export const getMe: Effect.Effect<
  Profile,
  CommonError | UserNotFound | SignInRequired,
  DingTalk | UserSession
> = getProfile({ unionId: "me" })
