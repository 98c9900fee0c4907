/**
 * An endpoint of the platform as a value. One declaration of about ten lines, from which all else derives: the typed
 * function, what goes on the wire, the exact error channel, the span's name, the rate-limit key, the emulator's route.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Pipeable from "effect/Pipeable"
import { pipeArguments } from "effect/Pipeable"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { CommonError, ErrorContext, SignInRequired } from "./DingTalkError.js"
import * as ErrorCode from "./ErrorCode.js"
import type { SsoTokenService } from "./SsoTokenService.js"
import type { SuiteTokenService } from "./SuiteTokenService.js"
import type { UserSession } from "./UserSession.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("@effect-dingtalk/core/Endpoint")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * `api`: the new gateway, `/v1.0/…`, camelCase, HTTP statuses. `oapi`: the legacy gateway, `/topapi/…`, snake_case,
 * always HTTP 200. Source: reference 2.
 *
 * @since 0.1.0
 * @category models
 */
export type Gateway = "api" | "oapi"

/**
 * @since 0.1.0
 * @category models
 */
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE"

/**
 * Whose token a call carries: nobody's, the app's, that of the user whose session is in the context of the Effect, that
 * of a third-party app itself (`suite`), or that of the admin console's sign-in (`sso`).
 *
 * @since 0.1.0
 * @category models
 */
export type Credential = "none" | "app" | "user" | "suite" | "sso"

/**
 * @since 0.1.0
 * @category models
 */
export interface Permission {
  /** such as `qyapi_get_member` */
  readonly scope: string
  /** the name under which the console lists it, such as `Read user information` */
  readonly name: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly codes: ReadonlyArray<string>
  readonly error: new(context: any) => { readonly _tag: string }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Endpoint<
  in out Payload,
  in out Success,
  out Error = never,
  out Auth extends Credential = Credential,
  in out SuccessEncoded = any
> extends Pipeable.Pipeable {
  readonly [TypeId]: { readonly _Error: (_: never) => Error }
  /** stable, `product.operation`: names the span, the limit and the handler of a test Layer */
  readonly name: string
  readonly gateway: Gateway
  readonly method: Method
  /** with `{parameters}` that are fields of the payload */
  readonly path: string
  readonly payload: Schema.Schema<Payload, any>
  readonly success: Schema.Schema<Success, SuccessEncoded>
  /** where the answer holds the success: in `result`, or as the whole body */
  readonly envelope: "result" | "body"
  /** fields of the payload that go into the query, beside those of the path; the rest is the JSON body */
  readonly query: ReadonlyArray<string>
  readonly credential: Auth
  readonly permission: Permission | undefined
  /** whether the call may be sent again when nobody knows if it arrived */
  readonly idempotent: boolean
  readonly failures: ReadonlyArray<Failure>
}

/**
 * @since 0.1.0
 */
export declare namespace Endpoint {
  /**
   * @since 0.1.0
   * @category models
   */
  export type Any = Endpoint<any, any, any, Credential, any>

  /**
   * What the caller gives.
   *
   * @since 0.1.0
   * @category models
   */
  export type Payload<E extends Any> = E extends Endpoint<infer P, any, any, any, any> ? P : never

  /**
   * What the caller gets.
   *
   * @since 0.1.0
   * @category models
   */
  export type Success<E extends Any> = E extends Endpoint<any, infer S, any, any, any> ? S : never

  /**
   * What only this endpoint fails with.
   *
   * @since 0.1.0
   * @category models
   */
  export type OwnError<E extends Any> = E extends Endpoint<any, any, infer F, any, any> ? F : never
}

/**
 * The exact error channel of a call: what every call can meet, what only this endpoint documents, and the end of the
 * user's session where it needs one.
 *
 * @since 0.1.0
 * @category models
 */
export type CallError<OwnError, Auth extends Credential> =
  | CommonError
  | OwnError
  | ("user" extends Auth ? SignInRequired : never)

/**
 * What a call needs from the context of the Effect, beside `DingTalk`.
 *
 * @since 0.1.0
 * @category models
 */
export type CallContext<Auth extends Credential> =
  | ("user" extends Auth ? UserSession : never)
  | ("suite" extends Auth ? SuiteTokenService : never)
  | ("sso" extends Auth ? SsoTokenService : never)

type Parameters<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}` ? Name | Parameters<Rest>
  : never

interface Options<Path extends string, P, PI, S, SI, Auth extends Credential> {
  readonly path: Path
  /** checked and encoded before anything is sent */
  readonly payload:
    & Schema.Schema<P, PI>
    & (Parameters<Path> extends keyof PI ? unknown : `payload lacks {${Parameters<Path>}}`)
  readonly success: Schema.Schema<S, SI>
  readonly credential?: Auth
  readonly permission?: Permission
  readonly query?: ReadonlyArray<keyof PI & string>
  readonly idempotent?: boolean
}

const Proto = {
  [TypeId]: { _Error: (_: never) => _ },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const make = (fields: Omit<Endpoint.Any, TypeId | "pipe">): any => Object.assign(Object.create(Proto), fields)

const declare = (
  gateway: Gateway,
  name: string,
  method: Method,
  envelope: "result" | "body",
  options: Options<string, any, any, any, any, Credential>
) =>
  make({
    name,
    gateway,
    method,
    path: options.path,
    payload: options.payload,
    success: options.success,
    envelope,
    query: options.query ?? [],
    credential: options.credential ?? "app",
    permission: options.permission,
    idempotent: options.idempotent ?? (method === "GET" || method === "PUT" || method === "DELETE"),
    failures: []
  })

/**
 * Declares an endpoint of the new gateway. The fields that the path names go there; those of a `GET` or `DELETE` go
 * into the query, those of the other methods into the JSON body, but for the ones listed as `query`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { DingTalk, Endpoint } from "@effect-dingtalk/core"
 * import { Schema } from "effect"
 *
 * const GetSpace = Endpoint.api("drive.getSpace", {
 *   method: "GET",
 *   path: "/v1.0/drive/spaces/{spaceId}",
 *   payload: Schema.Struct({ spaceId: Schema.String, unionId: Schema.String }),
 *   success: Schema.Struct({ spaceName: Schema.String }),
 *   permission: { scope: "Drive.Space.Read", name: "Read drive spaces" }
 * })
 *
 * // Effect<{ readonly spaceName: string }, CommonError, DingTalk>
 * const program = DingTalk.call(GetSpace, { spaceId: "854", unionId: "cHtUYHMX" })
 * console.log(GetSpace.name, typeof program.pipe) // drive.getSpace function
 * ```
 */
export const api = <const Path extends string, P, PI, S, SI, const Auth extends Credential = "app">(
  name: string,
  options: Options<Path, P, PI, S, SI, Auth> & { readonly method: Method }
): Endpoint<P, S, never, Auth, SI> => declare("api", name, options.method, "body", options as any)

/**
 * Declares an endpoint of the legacy gateway: `POST` with a JSON body unless it says `GET`, answered in `result`
 * unless it says `body` (the older paths put the fields beside `errcode`).
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { DingTalk, Endpoint } from "@effect-dingtalk/core"
 * import { Schema } from "effect"
 *
 * const CountUsers = Endpoint.oapi("contact.countUsers", {
 *   path: "/topapi/user/count",
 *   payload: Schema.Struct({ only_active: Schema.Boolean }),
 *   success: Schema.Struct({ count: Schema.Number }),
 *   idempotent: true
 * })
 *
 * const countUsers = DingTalk.call(CountUsers)
 * console.log(CountUsers.method, typeof countUsers) // POST function
 * ```
 */
export const oapi = <const Path extends string, P, PI, S, SI, const Auth extends Credential = "app">(
  name: string,
  options: Options<Path, P, PI, S, SI, Auth> & {
    readonly method?: "GET" | "POST"
    readonly envelope?: "result" | "body"
  }
): Endpoint<P, S, never, Auth, SI> =>
  declare("oapi", name, options.method ?? "POST", options.envelope ?? "result", options as any)

/**
 * Says what else an endpoint fails with, and by which codes. Without codes: by all that the platform has for it.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { DingTalkError, Endpoint } from "@effect-dingtalk/core"
 * import { Schema } from "effect"
 *
 * const DeleteUser = Endpoint.oapi("contact.deleteUser", {
 *   path: "/topapi/v2/user/delete",
 *   payload: Schema.Struct({ userid: Schema.String }),
 *   success: Schema.Void
 * }).pipe(Endpoint.failsWith(DingTalkError.UserNotFound, 60121, 33012))
 * console.log(DeleteUser.failures[0].codes) // ["60121", "33012"]
 * ```
 */
export const failsWith = <E extends { readonly _tag: string }>(
  error: new(context: ErrorContext) => E,
  ...codes: ReadonlyArray<number | string>
) =>
<P, S, E0, Auth extends Credential, SI>(
  self: Endpoint<P, S, E0, Auth, SI>
): Endpoint<P, S, E0 | E, Auth, SI> => {
  const { failures, ...rest } = self
  const all = codes.length > 0
    ? codes.map(String)
    : ErrorCode.codesOf((error as unknown as { readonly _tag: ErrorCode.Kind })._tag)
  return make({ ...rest, failures: [...failures, { error, codes: all }] })
}

/**
 * An answer to one endpoint, for test Layers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Handler {
  readonly endpoint: Endpoint.Any
  readonly handle: (payload: any) => Effect.Effect<any, any>
}

/**
 * Answers an endpoint in a test. The payload arrives checked; the answer is what the platform would send in `result`
 * (or as the body), so ids are plain strings and what is optional may be left out, and it is read as an answer of the
 * platform is.
 *
 * @since 0.1.0
 * @category testing
 * @example
 * ```ts
 * import { Contact, DingTalk, DingTalkError, Endpoint } from "@effect-dingtalk/core"
 * import { Effect } from "effect"
 *
 * const test = DingTalk.layerTest([
 *   Endpoint.handle(Contact.GetUser, ({ userid }) =>
 *     userid === "zhangsan"
 *       ? Effect.succeed({ userid, unionid: "u1", name: "John" })
 *       : Effect.fail(new DingTalkError.UserNotFound({ endpoint: "contact.getUser" })))
 * ])
 *
 * Contact.getUser({ userid: "zhangsan" }).pipe(
 *   Effect.provide(test),
 *   Effect.runPromise
 * ).then((user) => console.log(user.name, user.role_list)) // John []
 * ```
 */
export const handle = <P, S, E, Auth extends Credential, SI>(
  endpoint: Endpoint<P, S, E, Auth, SI>,
  // Without inference from here: an endpoint that fails with less would be taken for one that fails with more.
  handler: (payload: P) => Effect.Effect<SI, CallError<Types.NoInfer<E>, Auth>>
): Handler => ({ endpoint, handle: handler })
