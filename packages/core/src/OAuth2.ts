/**
 * Tokens and sign-in: `oauth2` of the platform.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { DingTalk } from "./DingTalk.js"
import { call } from "./DingTalk.js"
import type { CommonError } from "./DingTalkError.js"
import { InvalidAuthCode } from "./DingTalkError.js"
import * as Endpoint from "./Endpoint.js"
import type { Hosts } from "./Hosts.js"
import * as Identifier from "./Identifier.js"

// A file or an environment easily adds a newline to a secret, which the platform would answer with "unknown credentials";
// and no URL carries half of a character.
const SECRET = /^(?!\s)[^\p{Cc}\p{Cs}]+(?<!\s)$/u
const SECRET_SHAPE = "text without control characters and without white space around it"

const Secret = Schema.Redacted(
  Schema.String.annotations({
    // The usual message would show the value, which is a secret in the wrong shape.
    message: () => ({ message: "expected one text", override: true })
  }).pipe(
    Schema.filter((secret) => SECRET.test(secret), {
      description: SECRET_SHAPE,
      message: () => ({ message: `expected ${SECRET_SHAPE}`, override: true }),
      arbitrary: () => (fc) => fc.stringMatching(/^[\x21-\x7e]{1,64}$/)
    })
  )
)

const ClientId = Identifier.unbranded(Identifier.ClientId).pipe(
  Schema.trimmed({ description: "a Client ID without white space around it" })
)

/**
 * @since 0.1.0
 * @category schemas
 */
export const AppToken = Schema.Struct({
  accessToken: Secret,
  /** seconds; 7200 in practice */
  expireIn: Schema.optional(Schema.Number)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface AppToken extends Schema.Schema.Type<typeof AppToken> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const UserToken = Schema.Struct({
  accessToken: Secret,
  refreshToken: Schema.optional(Secret),
  /** seconds; 7200 in practice */
  expireIn: Schema.optional(Schema.Number),
  /** the organisation that the person chose, with scope `openid corpid` */
  corpId: Schema.optional(Identifier.CorpId)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface UserToken extends Schema.Schema.Type<typeof UserToken> {}

/**
 * `POST /v1.0/oauth2/accessToken`: the token of an internal app, good for both gateways. Asking again within its life
 * gives the same token, renewed. Source: reference 1.2.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetAccessToken = Endpoint.api("oauth2.getAccessToken", {
  method: "POST",
  path: "/v1.0/oauth2/accessToken",
  credential: "none",
  payload: Schema.Struct({
    appKey: ClientId,
    appSecret: Secret
  }),
  success: AppToken,
  idempotent: true
})

/**
 * An application has no need of this: `TokenService` of `@effect-dingtalk/auth` keeps a token fresh.
 *
 * @since 0.1.0
 * @category functions
 */
export const getAccessToken: (
  payload: { readonly appKey: string; readonly appSecret: Redacted.Redacted }
) => Effect.Effect<AppToken, CommonError, DingTalk> = call(GetAccessToken)

/**
 * `POST /v1.0/oauth2/userAccessToken`: a person's token, for a one-time code or for a refresh token. The access token
 * lives 2 hours, the refresh token 30 days and for one use. Source: reference 1.4.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetUserToken = Endpoint.api("oauth2.getUserToken", {
  method: "POST",
  path: "/v1.0/oauth2/userAccessToken",
  credential: "none",
  payload: Schema.Union(
    Schema.Struct({
      clientId: ClientId,
      clientSecret: Secret,
      grantType: Schema.Literal("authorization_code"),
      code: Secret
    }),
    Schema.Struct({
      clientId: ClientId,
      clientSecret: Secret,
      grantType: Schema.Literal("refresh_token"),
      refreshToken: Secret
    })
  ),
  success: UserToken
}).pipe(Endpoint.failsWith(InvalidAuthCode))

/**
 * An application is better served by `UserSession` of `@effect-dingtalk/auth`, which exchanges, refreshes and rotates.
 *
 * @since 0.1.0
 * @category functions
 */
export const getUserToken: (
  payload: Endpoint.Endpoint.Payload<typeof GetUserToken>
) => Effect.Effect<UserToken, CommonError | InvalidAuthCode, DingTalk> = call(GetUserToken)

// Global in Node, Bun, Deno and on the edge, but in no library of the ECMAScript standard.
declare const URLSearchParams: new(fields: Record<string, string>) => { readonly toString: () => string }

/**
 * The page where a person signs in and consents. It leads back to `redirectUri` with `authCode` and `state`, or with
 * `error`. Source: reference 1.8.
 *
 * `state` is yours: make it random, keep it in the browser's session, and compare it when the person comes back.
 *
 * @since 0.1.0
 * @category functions
 * @example
 * ```ts
 * import { Hosts, OAuth2 } from "@effect-dingtalk/core"
 *
 * const url = OAuth2.signInUrl(Hosts.io, {
 *   clientId: "dingquickstart",
 *   redirectUri: "https://app.example/callback",
 *   state: "af0ifjsldkj"
 * })
 * console.log(url.startsWith("https://login.dingtalk.io/oauth2/auth?redirect_uri=https%3A%2F%2Fapp.example")) // true
 * ```
 */
export const signInUrl = (hosts: Hosts, options: {
  readonly clientId: string
  /** must equal one that is registered in the console */
  readonly redirectUri: string
  readonly state: string
  /** `openid corpid` lets the person choose an organisation and gives its `corpId` with the token */
  readonly scope?: "openid" | "openid corpid" | undefined
  /** the organisation that is preselected */
  readonly corpId?: string | undefined
}): string => {
  const query = new URLSearchParams({
    redirect_uri: options.redirectUri,
    response_type: "code",
    client_id: options.clientId,
    scope: options.scope ?? "openid",
    state: options.state,
    // Without it the sign-in may skip the consent, and reading the profile is then refused (reference 1.8).
    prompt: "consent",
    ...(options.corpId === undefined ? {} : { corpId: options.corpId })
  })
  return `${hosts.login}/oauth2/auth?${query.toString()}`
}

/**
 * What the sign-in page leads back with. `authCode` is redacted; some answers name it `code` (reference 1.8).
 *
 * @since 0.1.0
 * @category schemas
 */
export const SignInCallback = Schema.Struct({
  authCode: Schema.optional(Secret),
  code: Schema.optional(Secret),
  state: Schema.optional(Schema.String),
  error: Schema.optional(Schema.String)
})

/**
 * The one-time code of a sign-in, under either name.
 *
 * @since 0.1.0
 * @category functions
 */
export const authCodeOf = (callback: typeof SignInCallback.Type): Redacted.Redacted | undefined =>
  callback.authCode ?? callback.code
