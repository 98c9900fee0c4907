/**
 * DingTalk's identifiers. What a call answers is branded, so that a `unionid` is not taken for a `userid` further on;
 * what a call is given may be any string of the right form, branded or not.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Schema from "effect/Schema"

const text = (title: string, maxLength: number) =>
  Schema.String.pipe(
    Schema.filter((s) => s.length > 0 && s.length <= maxLength, {
      identifier: title,
      description: `${title}: a string of 1 to ${maxLength} characters`,
      arbitrary: () => (fc) => fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/)
    })
  )

/**
 * A person inside one organisation: 1 to 64 characters, never changes. The platform also calls it `userId` and
 * `staffId`. Source: reference 6.1.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UserId = text("userid", 64).pipe(Schema.brand("UserId"))

/**
 * @since 0.1.0
 * @category models
 */
export type UserId = typeof UserId.Type

/**
 * A person across all organisations and apps of one developer account. Source: reference 6.1.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UnionId = text("unionid", 128).pipe(Schema.brand("UnionId"))

/**
 * @since 0.1.0
 * @category models
 */
export type UnionId = typeof UnionId.Type

/**
 * A person inside one app. Source: reference 6.1.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OpenId = text("openId", 128).pipe(Schema.brand("OpenId"))

/**
 * @since 0.1.0
 * @category models
 */
export type OpenId = typeof OpenId.Type

/**
 * An organisation, `ding…`. Source: reference 6.1.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CorpId = text("corpId", 128).pipe(Schema.brand("CorpId"))

/**
 * @since 0.1.0
 * @category models
 */
export type CorpId = typeof CorpId.Type

/**
 * An app: the Client ID of the console, which older pages call AppKey (and SuiteKey for third-party apps).
 * Source: reference 1.1.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ClientId = text("clientId", 128).pipe(Schema.brand("ClientId"))

/**
 * @since 0.1.0
 * @category models
 */
export type ClientId = typeof ClientId.Type

const integer = (title: string) =>
  Schema.Number.pipe(
    Schema.filter((n) => Number.isSafeInteger(n), {
      identifier: title,
      description: `${title}: an integer`,
      arbitrary: () => (fc) => fc.integer({ min: -1, max: 2 ** 40 })
    })
  )

/**
 * A department; the root of an organisation is 1. Source: reference 6.1.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DeptId = integer("dept_id").pipe(Schema.brand("DeptId"))

/**
 * @since 0.1.0
 * @category models
 */
export type DeptId = typeof DeptId.Type

/**
 * A role of an organisation. Source: reference 6.6.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RoleId = integer("role_id").pipe(Schema.brand("RoleId"))

/**
 * @since 0.1.0
 * @category models
 */
export type RoleId = typeof RoleId.Type

/**
 * The same schema, taking unbranded values: for payloads, where `"zhangsan"` should do. The checks stay.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { Identifier } from "@effect-dingtalk/core"
 * import { Schema } from "effect"
 *
 * const Payload = Schema.Struct({ userid: Identifier.unbranded(Identifier.UserId) })
 * const payload: typeof Payload.Type = { userid: "zhangsan" }
 * console.log(Schema.is(Payload)(payload)) // true
 * ```
 */
export const unbranded = <A extends Brand.Brand<any>, I>(
  schema: Schema.Schema<A, I>
): Schema.Schema<Brand.Brand.Unbranded<A>, I> => schema as any
