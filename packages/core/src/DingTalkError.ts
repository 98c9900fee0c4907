/**
 * Everything that a call can fail with. Each error says what happened, and its `message` what to do next; none holds a
 * request, a header, a URL of a call or a secret.
 *
 * `isRetryable` says that the same call may succeed a little later, within `retryAfter` where there is one. A ban lasts
 * too long for that, and whether a call may be made twice is a matter of the endpoint (`idempotent`).
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { Dimension } from "./ErrorCode.js"
import * as optional from "./internal/optional.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("@effect-dingtalk/core/DingTalkError")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * The fields that every error has. Use them for an error of your own endpoint, and `Endpoint.failsWith` will fill them.
 *
 * @since 0.1.0
 * @category schemas
 * @example
 * ```ts
 * import { DingTalkError } from "@effect-dingtalk/core"
 * import { Schema } from "effect"
 *
 * class TaskNotFound extends Schema.TaggedError<TaskNotFound>("TaskNotFound")("TaskNotFound", DingTalkError.fields) {}
 * console.log(new TaskNotFound({ endpoint: "todo.getTask", code: "task.not.found" }).code) // task.not.found
 * ```
 */
export const fields = {
  /** the endpoint's name, such as `contact.getUser` */
  endpoint: Schema.String,
  /** `code` or `errcode` as the platform sent it; 88 says that `subCode` is the cause */
  code: optional.string,
  /** `sub_code`, where the legacy gateway refused the call */
  subCode: optional.string,
  /** the HTTP status, which is always 200 on the legacy gateway */
  status: optional.number,
  /** `message` or `errmsg`, mostly Chinese and subject to change: for people, not for decisions */
  platformMessage: optional.string,
  /** what DingTalk's support asks for */
  requestId: optional.string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ErrorContext {
  readonly endpoint: string
  readonly code?: string | undefined
  readonly subCode?: string | undefined
  readonly status?: number | undefined
  readonly platformMessage?: string | undefined
  readonly requestId?: string | undefined
}

/**
 * The code that says why: the sub-code where the legacy gateway gave one, else the code.
 *
 * @since 0.1.0
 * @category getters
 */
export const causeCode = (self: ErrorContext): string | undefined =>
  self.code === "88" ? self.subCode ?? self.code : self.code

const sentence = (self: ErrorContext, what: string): string => {
  const facts = [
    causeCode(self) === undefined ? undefined : `code ${causeCode(self)}`,
    self.status === undefined || self.status === 200 ? undefined : `HTTP ${self.status}`,
    self.requestId === undefined ? undefined : `request ${self.requestId}`
  ].filter((fact) => fact !== undefined)
  return `${self.endpoint}: ${what}${facts.length === 0 ? "" : ` [${facts.join(", ")}]`}`
}

// What a log that writes JSON shows: above all what to do next, which is not among the fields.
const toJson = (
  self: { readonly _tag: string; readonly message: string; readonly isRetryable: boolean }
): object => ({
  _tag: self._tag,
  message: self.message,
  isRetryable: self.isRetryable,
  ...(self as object)
})

const seconds = (duration: Duration.Duration): number => Math.ceil(Duration.toSeconds(duration))

const said = (self: ErrorContext): string =>
  self.platformMessage === undefined || self.platformMessage === "" ? "" : `; DingTalk says: ${self.platformMessage}`

/**
 * The token was refused even after it had been replaced once, or it was taken away between two calls.
 *
 * Not retryable as it stands: the replay has already been made.
 *
 * @since 0.1.0
 * @category errors
 */
export class TokenExpired extends Schema.TaggedError<TokenExpired>("@effect-dingtalk/core/TokenExpired")(
  "TokenExpired",
  fields
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(
      this,
      "the access token was refused, and so was its replacement. Check that the credentials belong to this host's " +
        "region and that the app is enabled"
    )
  }
}

/**
 * The app's credentials are wrong: Client ID, Client Secret, or a third-party app's suite ticket.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidCredentials
  extends Schema.TaggedError<InvalidCredentials>("@effect-dingtalk/core/InvalidCredentials")("InvalidCredentials", {
    ...fields,
    advice: optional.string
  })
{
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(
      this,
      // Without a code, the platform has not been asked.
      this.code === undefined && this.advice !== undefined ?
        this.advice :
        `DingTalk does not know these credentials: ${
          this.advice ??
            "copy Client ID and Client Secret from the app's page Credential and basic information, and see that the " +
              "region is the app's own (DINGTALK_REGION=io for the international one)"
        }`
    )
  }
}

/**
 * A one-time code or refresh token is wrong, used up or too old: send the person through sign-in again.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAuthCode extends Schema.TaggedError<InvalidAuthCode>("@effect-dingtalk/core/InvalidAuthCode")(
  "InvalidAuthCode",
  fields
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(
      this,
      "the authorisation code is wrong, expired, already used, or one of another flow: start a new sign-in, or have the " +
        "page ask for a new code"
    )
  }
}

/**
 * A user's session is over: its refresh token was refused. Send the person through sign-in again.
 *
 * @since 0.1.0
 * @category errors
 */
export class SignInRequired extends Schema.TaggedError<SignInRequired>("@effect-dingtalk/core/SignInRequired")(
  "SignInRequired",
  fields
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(this, "this person's session is over: send them through sign-in again")
  }
}

/**
 * The app, or the user, has not been granted what the call needs.
 *
 * @since 0.1.0
 * @category errors
 */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>("@effect-dingtalk/core/PermissionDenied")(
  "PermissionDenied",
  {
    ...fields,
    /** the codes of the missing permissions, from the answer or else from the endpoint's declaration */
    scopes: Schema.Array(Schema.String),
    /** the name under which the console lists the permission, where the endpoint knows it */
    permissionName: optional.string,
    /** the page of the developer console where to apply */
    applyAt: Schema.String,
    advice: optional.string
  }
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    if (this.advice !== undefined) return sentence(this, this.advice + said(this))
    const name = this.permissionName === undefined ? "" : ` "${this.permissionName}"`
    const scopes = this.scopes.length === 0 ? "" : ` (${this.scopes.join(", ")})`
    return sentence(
      this,
      `the permission${name}${scopes} is missing: apply for it under Manage permissions of the app, ${this.applyAt}`
    )
  }
}

/**
 * The person or department lies outside the app's contact range.
 *
 * @since 0.1.0
 * @category errors
 */
export class OutOfScope extends Schema.TaggedError<OutOfScope>("@effect-dingtalk/core/OutOfScope")("OutOfScope", {
  ...fields,
  advice: optional.string
}) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(this, `outside the app's contact range: ${this.advice ?? "widen it in the console"}`)
  }
}

/**
 * No such person in this organisation.
 *
 * @since 0.1.0
 * @category errors
 */
export class UserNotFound extends Schema.TaggedError<UserNotFound>("@effect-dingtalk/core/UserNotFound")(
  "UserNotFound",
  { ...fields, advice: optional.string }
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(
      this,
      this.advice ?? "no such user: check the id for typos, and that it belongs to this organisation"
    )
  }
}

/**
 * No such department in this organisation.
 *
 * @since 0.1.0
 * @category errors
 */
export class DepartmentNotFound
  extends Schema.TaggedError<DepartmentNotFound>("@effect-dingtalk/core/DepartmentNotFound")(
    "DepartmentNotFound",
    fields
  )
{
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(this, "no such department: check the id, and that it belongs to this organisation")
  }
}

/**
 * No such role in this organisation.
 *
 * @since 0.1.0
 * @category errors
 */
export class RoleNotFound extends Schema.TaggedError<RoleNotFound>("@effect-dingtalk/core/RoleNotFound")(
  "RoleNotFound",
  fields
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(this, "no such role: check the id, and that it belongs to this organisation")
  }
}

const Dimension = Schema.Literal(
  "AppAndApi",
  "Api",
  "Server",
  "Org",
  "OrgAndApp",
  "SuiteAndOrg",
  "Suite",
  "Robot",
  "WorkNotice",
  "Unknown"
) satisfies Schema.Schema<Dimension>

/**
 * Too many calls. The platform refused this one before looking at it, so it may be sent again.
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("@effect-dingtalk/core/RateLimited")("RateLimited", {
  ...fields,
  dimension: Dimension,
  /** how long the platform asks to wait; encoded as milliseconds */
  retryAfter: Schema.optional(Schema.DurationFromMillis),
  advice: optional.string
}) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    const wait = this.retryAfter === undefined ? "slow down" : `try again in ${seconds(this.retryAfter)} s`
    const advice = this.advice === undefined ? "" : `; ${this.advice}`
    return sentence(this, `too many calls (${this.dimension}): ${wait}${advice}`)
  }
}

/**
 * The organisation's calls of this month are used up. Waiting does not help before the month ends.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuotaExhausted extends Schema.TaggedError<QuotaExhausted>("@effect-dingtalk/core/QuotaExhausted")(
  "QuotaExhausted",
  fields
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(
      this,
      "the organisation's monthly API quota is used up: buy more in the console, or wait" + said(this)
    )
  }
}

/**
 * The app has a list of allowed addresses, and this machine's is not on it.
 *
 * @since 0.1.0
 * @category errors
 */
export class IpNotAllowed extends Schema.TaggedError<IpNotAllowed>("@effect-dingtalk/core/IpNotAllowed")(
  "IpNotAllowed",
  {
    ...fields,
    /** the address that the platform saw */
    ip: optional.string
  }
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(
      this,
      `${
        this.ip === undefined ? "this machine's address" : this.ip
      } is not on the app's server IP white list: add it ` +
        "in the console"
    )
  }
}

/**
 * DingTalk refuses everything from this address, for 5 minutes after too many calls. Source: reference 5.
 *
 * @since 0.1.0
 * @category errors
 */
export class IpBanned extends Schema.TaggedError<IpBanned>("@effect-dingtalk/core/IpBanned")("IpBanned", {
  ...fields,
  /** how long the ban lasts; encoded as milliseconds */
  retryAfter: Schema.DurationFromMillis
}) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(
      this,
      `DingTalk has banned this machine's address for too many calls: send nothing for ${seconds(this.retryAfter)} s`
    )
  }
}

/**
 * The platform refused a parameter, the path or the body.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>("@effect-dingtalk/core/InvalidRequest")(
  "InvalidRequest",
  { ...fields, advice: optional.string }
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(this, `DingTalk refused the request: ${this.advice ?? "check its parameters"}${said(this)}`)
  }
}

/**
 * The platform is busy or broken.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unavailable extends Schema.TaggedError<Unavailable>("@effect-dingtalk/core/Unavailable")("Unavailable", {
  ...fields,
  /** from a `Retry-After` header, where a gateway sends one; encoded as milliseconds */
  retryAfter: Schema.optional(Schema.DurationFromMillis)
}) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return sentence(this, `DingTalk is busy or broken; try again later${said(this)}`)
  }
}

/**
 * Any other code.
 *
 * @since 0.1.0
 * @category errors
 */
export class ApiError extends Schema.TaggedError<ApiError>("@effect-dingtalk/core/ApiError")("ApiError", {
  ...fields,
  advice: optional.string
}) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return sentence(this, `${this.advice ?? "DingTalk answered with an error"}${said(this)}`)
  }
}

/**
 * No usable exchange took place.
 *
 * - `Encode`: the payload does not fit its schema; nothing was sent
 * - `Network`: no connection, or it broke
 * - `Timeout`: the deadline passed
 * - `Decode`: the answer is not what the platform promises: HTML, a redirect, a cut or oversized body, a wrong shape
 * - `Store`: a one-time token could not be put on record, so it was not spent; nothing was sent
 *
 * @since 0.1.0
 * @category errors
 */
export class TransportError extends Schema.TaggedError<TransportError>("@effect-dingtalk/core/TransportError")(
  "TransportError",
  {
    ...fields,
    reason: Schema.Literal("Network", "Timeout", "Decode", "Encode", "Store"),
    /** what was wrong, without any value */
    description: Schema.String,
    /** the field, such as `payload.userid` or `result.role_list[0].id` */
    path: optional.string,
    /** what the system says of the connection, such as `ECONNREFUSED` */
    networkCode: optional.string
  }
) {
  get [TypeId](): TypeId {
    return TypeId
  }
  /**
   * @since 0.1.0
   */
  override toJSON(): object {
    return toJson(this)
  }
  get isRetryable(): boolean {
    return this.reason === "Network" || this.reason === "Timeout" || this.reason === "Store"
  }
  override get message(): string {
    return sentence(this, `${this.path === undefined ? "" : `${this.path} `}${this.description}`)
  }
}

/**
 * What every call can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type CommonError =
  | TokenExpired
  | InvalidCredentials
  | PermissionDenied
  | OutOfScope
  | RateLimited
  | QuotaExhausted
  | IpNotAllowed
  | IpBanned
  | InvalidRequest
  | Unavailable
  | ApiError
  | TransportError

/**
 * What only those endpoints fail with that say so.
 *
 * @since 0.1.0
 * @category models
 */
export type EndpointError =
  | UserNotFound
  | DepartmentNotFound
  | RoleNotFound
  | InvalidAuthCode
  | SignInRequired

/**
 * @since 0.1.0
 * @category models
 */
export type DingTalkError = CommonError | EndpointError

/**
 * @since 0.1.0
 * @category guards
 */
export const isDingTalkError = (u: unknown): u is DingTalkError => Predicate.hasProperty(u, TypeId)

/**
 * Any of the errors, to send through a queue or another process and to read back as an instance of its class.
 *
 * @since 0.1.0
 * @category schemas
 * @example
 * ```ts
 * import { DingTalkError } from "@effect-dingtalk/core"
 * import { Schema } from "effect"
 *
 * const text = JSON.stringify(
 *   Schema.encodeSync(DingTalkError.DingTalkError)(new DingTalkError.UserNotFound({ endpoint: "contact.getUser", code: "60121" }))
 * )
 * const back = Schema.decodeSync(DingTalkError.DingTalkError)(JSON.parse(text))
 * console.log(back instanceof DingTalkError.UserNotFound, back.isRetryable) // true false
 * ```
 */
export const DingTalkError = Schema.Union(
  TokenExpired,
  InvalidCredentials,
  PermissionDenied,
  OutOfScope,
  RateLimited,
  QuotaExhausted,
  IpNotAllowed,
  IpBanned,
  InvalidRequest,
  Unavailable,
  ApiError,
  TransportError,
  UserNotFound,
  DepartmentNotFound,
  RoleNotFound,
  InvalidAuthCode,
  SignInRequired
)
