/**
 * Third-party applications: made by one developer, authorised by many organisations. The platform calls one a suite.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { isLoopbackUri } from "./internal/loopback.js"
import * as Organization from "./Organization.js"

const { clientId, clientSecret, contactRange, name, permissions, ...common } = Organization.Application.fields

/**
 * What one organisation allows the application.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Authorization = Schema.Struct({
  corpId: Organization.Organization.fields.corpId,
  /** a number of its own for each organisation if left out */
  agentId: Schema.optional(Schema.Int),
  /** those of the application if left out */
  permissions: Schema.optional(Schema.Array(Schema.String)),
  /** the people of this organisation that the application sees: everybody, or these `userid`s */
  contactRange,
  /** the administrator who authorised it; the organisation's first one if left out */
  userid: Schema.optional(Organization.User.fields.userid)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Authorization extends Schema.Schema.Type<typeof Authorization> {}

/**
 * What has to be said of an authorisation; the rest has a default.
 *
 * @since 0.1.0
 * @category models
 */
export type AuthorizationOptions = Parameters<typeof Authorization.make>[0]

/**
 * Where events are posted to: a server of this machine. With `token` and `aesKey`, they are signed and encrypted as the
 * platform does; without, they are plain JSON, which the platform never sends.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Callback = Schema.Struct({
  url: Schema.String.pipe(
    Schema.filter((url) => isLoopbackUri(url) || "is not an http URL of this machine")
  ),
  token: Schema.optional(Schema.Redacted(Schema.NonEmptyString)),
  /** 43 characters of Base64 */
  aesKey: Schema.optional(Schema.Redacted(Schema.String.pipe(Schema.pattern(/^[A-Za-z0-9+/]{43}$/))))
}).pipe(
  Schema.filter(({ aesKey, token }) =>
    (aesKey === undefined) === (token === undefined) || "needs both token and aesKey, or neither"
  )
)

/**
 * @since 0.1.0
 * @category models
 */
export type Callback = typeof Callback.Type

const withDefault = <A, I>(schema: Schema.Schema<A, I>, value: () => Exclude<A, undefined>) =>
  Schema.optional(schema).pipe(Schema.withDefaults({ constructor: value, decoding: value }))

/**
 * A third-party application, as its developer's console shows it. `suiteKey` and `suiteSecret` are what other places
 * call `clientId` and `clientSecret`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Application = Schema.Struct({
  suiteKey: clientId,
  suiteSecret: clientSecret,
  name,
  suiteId: withDefault(Schema.Int, () => 10001),
  appId: withDefault(Schema.Int, () => 20001),
  /** what an organisation allows that says nothing else */
  permissions,
  /** `any` is every organisation of the emulator */
  authorizedBy: withDefault(
    Schema.Union(Schema.Literal("any"), Schema.Array(Authorization)),
    (): "any" | ReadonlyArray<Authorization> => []
  ),
  /** as the platform does for an app that was developed for one customer */
  acceptsAnyTicket: withDefault(Schema.Boolean, () => false),
  /** without it, events reach only who subscribes in process */
  callback: Schema.optional(Callback),
  redirectUris: common.redirectUris,
  anyLoopbackRedirect: common.anyLoopbackRedirect,
  ipWhiteList: common.ipWhiteList,
  enabled: common.enabled,
  tokenLifetime: common.tokenLifetime
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
 * An authorisation with defaults for what is not said: the permissions of the application, and everybody in the contact
 * range.
 *
 * @since 0.1.0
 * @category constructors
 */
export const authorization = (options: AuthorizationOptions): Authorization => Authorization.make(options)

/**
 * An application with defaults for what is not said: authorised by nobody, no permissions, enabled, tokens of two hours.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { ThirdParty } from "@effect-dingtalk/emulator"
 * import { Redacted } from "effect"
 *
 * const app = ThirdParty.application({
 *   suiteKey: "suitemine",
 *   suiteSecret: Redacted.make("my-suite-secret"),
 *   permissions: ["qyapi_get_member"],
 *   authorizedBy: [ThirdParty.authorization({ corpId: "dingcustomer", contactRange: ["zhangsan"] })]
 * })
 * console.log(app.tokenLifetime, app.acceptsAnyTicket) // 7200 false
 * ```
 */
export const application = (options: ApplicationOptions): Application => Application.make(options)

/**
 * The app `suitequickstart`, whose secret `suite-quickstart-secret` is public, authorised by `Organization.quickstart`
 * and `Organization.partner`.
 *
 * @since 0.1.0
 * @category constants
 */
export const quickstart: Application = application({
  suiteKey: "suitequickstart",
  suiteSecret: Redacted.make("suite-quickstart-secret"),
  name: "Quickstart Suite",
  permissions: ["qyapi_get_member", "Contact.User.Read", "fieldMobile", "fieldEmail"],
  authorizedBy: [
    authorization({ corpId: Organization.quickstart.corpId, agentId: 2500000002, userid: "zhangsan" }),
    authorization({ corpId: Organization.partner.corpId, agentId: 2500000003, userid: "wangwu" })
  ],
  anyLoopbackRedirect: true
})
