/**
 * What an emulator holds: organisations, their people and their own applications.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

const text = (maxLength: number) => Schema.String.pipe(Schema.minLength(1), Schema.maxLength(maxLength))

const UserId = text(64)

/**
 * How a person presents themselves to an app that they signed in to. What is left out is taken from the person.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Profile = Schema.Struct({
  nick: Schema.optional(Schema.String),
  avatarUrl: Schema.optional(Schema.String),
  mobile: Schema.optional(Schema.String),
  openId: Schema.optional(text(128)),
  email: Schema.optional(Schema.String),
  stateCode: Schema.optional(Schema.String),
  loginEmail: Schema.optional(Schema.String),
  visitor: Schema.optional(Schema.Boolean)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Profile extends Schema.Schema.Type<typeof Profile> {}

const UnionEmployee = {
  userid: Schema.optional(Schema.String),
  corp_id: Schema.optional(Schema.String)
}

/**
 * A person, by the names and in the types of the wire. `order` is a `bigint`, because it exceeds 2^53; in JSON it is a
 * number or its digits in a string.
 *
 * @since 0.1.0
 * @category schemas
 */
export const User = Schema.Struct({
  userid: UserId,
  unionid: text(128),
  name: Schema.String,
  avatar: Schema.optional(Schema.String),
  state_code: Schema.optional(Schema.String),
  mobile: Schema.optional(Schema.String),
  hide_mobile: Schema.optional(Schema.Boolean),
  telephone: Schema.optional(Schema.String),
  job_number: Schema.optional(Schema.String),
  title: Schema.optional(Schema.String),
  email: Schema.optional(Schema.String),
  org_email: Schema.optional(Schema.String),
  org_email_type: Schema.optional(Schema.String),
  work_place: Schema.optional(Schema.String),
  remark: Schema.optional(Schema.String),
  /** JSON in a string */
  extension: Schema.optional(Schema.String),
  extension_i18n: Schema.optional(Schema.String),
  manager_userid: Schema.optional(Schema.String),
  login_id: Schema.optional(Schema.String),
  exclusive_account: Schema.optional(Schema.Boolean),
  exclusive_account_type: Schema.optional(Schema.String),
  active: Schema.optional(Schema.Boolean),
  real_authed: Schema.optional(Schema.Boolean),
  senior: Schema.optional(Schema.Boolean),
  admin: Schema.optional(Schema.Boolean),
  boss: Schema.optional(Schema.Boolean),
  /** milliseconds since the epoch */
  hired_date: Schema.optional(Schema.Int),
  create_time: Schema.optional(Schema.String),
  dept_id_list: Schema.optional(Schema.Array(Schema.Int)),
  dept_order_list: Schema.optional(Schema.Array(Schema.Struct({
    dept_id: Schema.Int,
    order: Schema.Union(Schema.BigInt, Schema.BigIntFromNumber)
  }))),
  leader_in_dept: Schema.optional(Schema.Array(Schema.Struct({ dept_id: Schema.Int, leader: Schema.Boolean }))),
  dept_position_list: Schema.optional(Schema.Array(Schema.Struct({
    dept_id: Schema.Int,
    is_main: Schema.optional(Schema.Boolean),
    title: Schema.optional(Schema.String),
    work_place: Schema.optional(Schema.String)
  }))),
  role_list: Schema.optional(Schema.Array(Schema.Struct({
    id: Schema.Int,
    name: Schema.String,
    group_name: Schema.optional(Schema.String)
  }))),
  union_emp_ext: Schema.optional(Schema.Struct({
    ...UnionEmployee,
    union_emp_map_list: Schema.optional(Schema.Array(Schema.Struct(UnionEmployee)))
  })),
  /** not in the contacts: what `/v1.0/contact/users/{unionId}` tells */
  profile: Schema.optional(Profile),
  /**
   * not in the contacts: what `/topapi/v2/user/getuserinfo` tells. 0 none, 1 main administrator, 2 sub-administrator,
   * 100 boss; left out, it follows from `boss` and `admin`
   */
  sys_level: Schema.optional(Schema.Literal(0, 1, 2, 100))
})

/**
 * @since 0.1.0
 * @category models
 */
export interface User extends Schema.Schema.Type<typeof User> {}

const withDefault = <A, I>(schema: Schema.Schema<A, I>, value: () => Exclude<A, undefined>) =>
  Schema.optional(schema).pipe(Schema.withDefaults({ constructor: value, decoding: value }))

/**
 * An internal app, as the developer console shows it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Application = Schema.Struct({
  clientId: text(128),
  clientSecret: Schema.Redacted(Schema.NonEmptyString),
  name: withDefault(Schema.String, () => "App"),
  agentId: withDefault(Schema.Int, () => 1000001),
  /** scope codes such as `qyapi_get_member`, and the field permissions `fieldMobile` and `fieldEmail` */
  permissions: withDefault(Schema.Array(Schema.String), () => []),
  /** the people that the app sees: everybody, or these `userid`s */
  contactRange: withDefault(Schema.Union(Schema.Literal("all"), Schema.Array(UserId)), () => "all" as const),
  /** where the sign-in page may lead back to, compared character by character */
  redirectUris: withDefault(
    Schema.Array(Schema.String.pipe(Schema.pattern(/^https?:\/\/[!-~]+$/))),
    () => []
  ),
  /** also any `http` URI of this machine, which the platform never allows: there each one has to be registered */
  anyLoopbackRedirect: withDefault(Schema.Boolean, () => false),
  /** without it, every address is let in */
  ipWhiteList: Schema.optional(Schema.Array(Schema.String)),
  enabled: withDefault(Schema.Boolean, () => true),
  /** seconds */
  tokenLifetime: withDefault(Schema.Int.pipe(Schema.positive()), () => 7200)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Application extends Schema.Schema.Type<typeof Application> {}

/**
 * What an application needs to be told; the rest has a default.
 *
 * @since 0.1.0
 * @category models
 */
export type ApplicationOptions = Parameters<typeof Application.make>[0]

/**
 * @since 0.1.0
 * @category schemas
 */
export const Organization = Schema.Struct({
  corpId: text(128),
  corpName: Schema.String,
  applications: Schema.Array(Application),
  users: Schema.Array(User),
  /** for the single sign-on of administrators into the back end of an app; without it there is none */
  ssoSecret: Schema.optional(Schema.Redacted(Schema.NonEmptyString))
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Organization extends Schema.Schema.Type<typeof Organization> {}

/**
 * An application with defaults for what is not said: no permissions, everybody in the contact range, enabled, tokens
 * of two hours.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Organization } from "@effect-dingtalk/emulator"
 * import { Redacted } from "effect"
 *
 * const app = Organization.application({
 *   clientId: "dingmyapp",
 *   clientSecret: Redacted.make("my-secret"),
 *   permissions: ["qyapi_get_member"]
 * })
 * console.log(app.contactRange, app.tokenLifetime) // all 7200
 * ```
 */
export const application = (options: ApplicationOptions): Application => Application.make(options)

/**
 * The organisation of the guide: its person `zhangsan` with every value of the guide's sample, in the types of the
 * wire; the manager `manager240`; `lisi`, of whom little is known; and the app `dingquickstart`, whose secret
 * `quickstart-secret` is public, as is the `ssoSecret`, `quickstart-sso-secret`.
 *
 * @since 0.1.0
 * @category constants
 * @example
 * ```ts
 * import { Organization } from "@effect-dingtalk/emulator"
 *
 * console.log(Organization.quickstart.users.map((user) => user.userid)) // [ 'zhangsan', 'manager240', 'lisi' ]
 * ```
 */
export const quickstart: Organization = {
  corpId: "dingquickstartcorp",
  corpName: "Quickstart",
  ssoSecret: Redacted.make("quickstart-sso-secret"),
  applications: [application({
    clientId: "dingquickstart",
    clientSecret: Redacted.make("quickstart-secret"),
    name: "Quickstart",
    agentId: 2500000001,
    permissions: ["qyapi_get_member", "Contact.User.Read", "Contact.User.mobile", "fieldMobile", "fieldEmail"],
    redirectUris: [
      "http://localhost:3000/callback",
      "http://127.0.0.1:3000/callback",
      "http://localhost:8080/callback",
      "https://app.example/callback"
    ],
    anyLoopbackRedirect: true
  })],
  users: [
    {
      userid: "zhangsan",
      unionid: "z21HjQliSzpw0YWxxxxx",
      name: "John",
      avatar: "xxx",
      state_code: "86",
      mobile: "13800138000",
      hide_mobile: false,
      telephone: "010-86123456-2345",
      job_number: "4",
      title: "Technical Director",
      email: "test@xxx.com",
      org_email: "test@xxx.com",
      work_place: "Future Park",
      remark: "Remark",
      extension: "{\"Hobby\":\"Travel\",\"Age\":\"24\"}",
      manager_userid: "manager240",
      exclusive_account: false,
      active: true,
      real_authed: true,
      senior: true,
      admin: true,
      boss: true,
      hired_date: 1597573616828,
      dept_id_list: [2, 3, 4],
      // The guide has "1" here; the platform sends numbers like this one (reference 6.2).
      dept_order_list: [{ dept_id: 2, order: 179997318850453160n }],
      leader_in_dept: [{ dept_id: 2, leader: true }],
      role_list: [{ id: 100, name: "Director", group_name: "Position" }],
      union_emp_ext: {
        userid: "500",
        corp_id: "dingxxx",
        union_emp_map_list: [{ userid: "5000", corp_id: "dingxxx" }]
      },
      profile: {
        nick: "zhangsan",
        avatarUrl: "https://xxx",
        mobile: "150xxxx9144",
        openId: "123",
        email: "zhangsan@example.com",
        stateCode: "86"
      }
    },
    {
      userid: "manager240",
      unionid: "m240HjQliSzpw0YWxxxxx",
      name: "Mary",
      avatar: "",
      state_code: "86",
      mobile: "13900139000",
      hide_mobile: true,
      telephone: "",
      job_number: "",
      title: "General Manager",
      email: "",
      remark: "",
      exclusive_account: false,
      active: true,
      real_authed: true,
      senior: false,
      admin: true,
      boss: false,
      create_time: "2024-07-15T07:05:43.000Z",
      dept_id_list: [1],
      dept_order_list: [{ dept_id: 1, order: 176220178909140512n }],
      leader_in_dept: [{ dept_id: 1, leader: true }],
      union_emp_ext: {}
    },
    { userid: "lisi", unionid: "l4siHjQliSzpw0YWxxxxx", name: "Li Si", active: false, dept_id_list: [2] }
  ]
}

/**
 * A second organisation, which authorised the third-party app `ThirdParty.quickstart` as well: its `zhangsan` is
 * somebody else, because a `userid` says nothing outside of its organisation.
 *
 * @since 0.1.0
 * @category constants
 */
export const partner: Organization = {
  corpId: "dingpartnercorp",
  corpName: "Partner",
  applications: [],
  users: [
    { userid: "zhangsan", unionid: "p1zhangsanPartnerxxxxx", name: "Zhang San of Partner", title: "Buyer" },
    { userid: "wangwu", unionid: "p2wangwuPartnerxxxxx", name: "Wang Wu", title: "Director", admin: true }
  ]
}

// What a corpId looks like (reference 6.1).
const CORP_ID = /^ding[0-9a-zA-Z]{1,124}$/

/**
 * An organisation for every well-formed `corpId`, always the same one, with the administrator `admin` and the employee
 * `staff`: for tests that need thousands. `undefined` for any other text.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Emulator, Organization, ThirdParty } from "@effect-dingtalk/emulator"
 *
 * // Every corpId such as `ding0`, `ding1`, … is an organisation that authorised the app.
 * export const dingtalk = Emulator.layer({
 *   organizationOf: Organization.generated,
 *   thirdPartyApplications: [{ ...ThirdParty.quickstart, authorizedBy: "any" }]
 * })
 *
 * console.log(Organization.generated("ding7")?.users.map((user) => user.name)) // [ 'admin of ding7', 'staff of ding7' ]
 * ```
 */
export const generated = (corpId: string): Organization | undefined =>
  CORP_ID.test(corpId)
    ? {
      corpId,
      corpName: `Organisation ${corpId}`,
      applications: [],
      users: ["admin", "staff"].map((userid) => ({
        userid,
        unionid: `${userid}-${corpId}`.slice(0, 128),
        name: `${userid} of ${corpId}`,
        admin: userid === "admin"
      }))
    }
    : undefined
