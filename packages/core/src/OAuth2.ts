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
import * as optional from "./internal/optional.js"
import type { SsoTokenService } from "./SsoTokenService.js"
import type { SuiteTokenService } from "./SuiteTokenService.js"

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
  expireIn: optional.number
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
  expireIn: optional.number,
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
 * `GET /gettoken` of the legacy gateway: the same token as `GetAccessToken` gives, for who must use that host.
 * Source: reference 1.3.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetToken = Endpoint.oapi("oauth2.getToken", {
  method: "GET",
  path: "/gettoken",
  envelope: "body",
  credential: "none",
  payload: Schema.Struct({
    appkey: ClientId,
    appsecret: Secret
  }),
  success: Schema.Struct({
    access_token: Secret,
    /** seconds; 7200 in practice */
    expires_in: optional.number
  })
})

/**
 * `POST /v1.0/oauth2/{corpId}/token`: the token of an app in one organisation, for internal and for third-party apps.
 * Source: reference 1.5.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetOrganizationToken = Endpoint.api("oauth2.getOrganizationToken", {
  method: "POST",
  path: "/v1.0/oauth2/{corpId}/token",
  credential: "none",
  payload: Schema.Struct({
    corpId: Identifier.unbranded(Identifier.CorpId),
    client_id: ClientId,
    client_secret: Secret,
    grant_type: Schema.Literal("client_credentials")
  }),
  success: Schema.Struct({
    access_token: Secret,
    /** seconds; 7200 in practice */
    expires_in: optional.number
  }),
  idempotent: true
})

/**
 * `POST /v1.0/oauth2/corpAccessToken`: the token of a third-party app in an organisation that has authorised it. Every
 * request makes a new one. Source: reference 1.6.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetCorpAccessToken = Endpoint.api("oauth2.getCorpAccessToken", {
  method: "POST",
  path: "/v1.0/oauth2/corpAccessToken",
  credential: "none",
  payload: Schema.Struct({
    suiteKey: ClientId,
    suiteSecret: Secret,
    authCorpId: Identifier.unbranded(Identifier.CorpId),
    suiteTicket: Secret
  }),
  success: AppToken,
  idempotent: true
})

/**
 * `POST /v1.0/oauth2/suiteAccessToken`: the token of a third-party app itself, good for `GetAuthInfo`.
 * Source: reference 1.6.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetSuiteAccessToken = Endpoint.api("oauth2.getSuiteAccessToken", {
  method: "POST",
  path: "/v1.0/oauth2/suiteAccessToken",
  credential: "none",
  payload: Schema.Struct({
    suiteKey: ClientId,
    suiteSecret: Secret,
    suiteTicket: Secret
  }),
  success: AppToken,
  idempotent: true
})

/**
 * What an organisation has authorised a third-party app to do, and where it is installed. Source: reference 1.6.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AuthInfo = Schema.Struct({
  authAppInfo: Schema.optional(Schema.Struct({
    agentList: Schema.optional(Schema.Array(Schema.Struct({
      agentId: optional.number,
      agentName: optional.string,
      appId: optional.number,
      /** userids */
      adminList: Schema.optional(Schema.Array(Schema.String))
    })))
  })),
  authCorpInfo: Schema.optional(Schema.Struct({
    corpName: optional.string,
    /** URL */
    corpLogoUrl: optional.string,
    industry: optional.string,
    inviteCode: optional.string,
    /** URL */
    inviteUrl: optional.string,
    licenseCode: optional.string,
    authChannel: optional.string,
    authChannelType: optional.string,
    authLevel: optional.number
  })),
  authUserInfo: Schema.optional(Schema.Struct({
    /** who authorised the app */
    userId: Schema.optional(Identifier.UserId)
  }))
})

/**
 * @since 0.1.0
 * @category models
 */
export interface AuthInfo extends Schema.Schema.Type<typeof AuthInfo> {}

/**
 * `GET /v1.0/oauth2/apps/authInfo`, with the suite's token. Source: reference 1.6.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetAuthInfo = Endpoint.api("oauth2.getAuthInfo", {
  method: "GET",
  path: "/v1.0/oauth2/apps/authInfo",
  credential: "suite",
  payload: Schema.Struct({ authCorpId: Identifier.unbranded(Identifier.CorpId) }),
  success: AuthInfo
})

/**
 * What an organisation has authorised a third-party app to do.
 *
 * @since 0.1.0
 * @category functions
 */
export const getAuthInfo: (
  payload: { readonly authCorpId: string }
) => Effect.Effect<AuthInfo, CommonError, DingTalk | SuiteTokenService> = call(GetAuthInfo)

/**
 * `POST /v1.0/oauth2/ssoAccessToken`: for signing in to the admin page of an app. Source: reference 1.7.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetSsoAccessToken = Endpoint.api("oauth2.getSsoAccessToken", {
  method: "POST",
  path: "/v1.0/oauth2/ssoAccessToken",
  credential: "none",
  payload: Schema.Struct({
    /** the organisation of the developer */
    corpid: Identifier.unbranded(Identifier.CorpId),
    ssoSecret: Secret
  }),
  success: AppToken,
  idempotent: true
})

/**
 * Who opened an app's admin page from the admin console. Source: reference 1.7.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SsoUserInfo = Schema.Struct({
  corpId: Schema.optional(Identifier.CorpId),
  corpName: optional.string,
  userId: Identifier.UserId,
  userName: optional.string,
  email: optional.string,
  /** URL */
  avatar: optional.string,
  isAdmin: optional.boolean
})

/**
 * @since 0.1.0
 * @category models
 */
export interface SsoUserInfo extends Schema.Schema.Type<typeof SsoUserInfo> {}

/**
 * `GET /v1.0/oauth2/ssoUserInfo`: exchanges the one-time code that the admin console adds to the address of the app's
 * admin page. Source: reference 1.7.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const GetSsoUserInfo = Endpoint.api("oauth2.getSsoUserInfo", {
  method: "GET",
  path: "/v1.0/oauth2/ssoUserInfo",
  credential: "sso",
  payload: Schema.Struct({ code: Secret }),
  success: SsoUserInfo,
  // A GET, but its code is good for one use.
  idempotent: false
}).pipe(Endpoint.failsWith(InvalidAuthCode))

/**
 * Who opened the app's admin page from the admin console.
 *
 * @since 0.1.0
 * @category functions
 */
export const getSsoUserInfo: (
  payload: { readonly code: Redacted.Redacted }
) => Effect.Effect<SsoUserInfo, CommonError | InvalidAuthCode, DingTalk | SsoTokenService> = call(GetSsoUserInfo)

/**
 * `POST /v1.0/oauth2/jsapiTickets`: what pages inside DingTalk are signed with. Asking again within its life gives the
 * same ticket. Source: reference 1.7.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const CreateJsapiTicket = Endpoint.api("oauth2.createJsapiTicket", {
  method: "POST",
  path: "/v1.0/oauth2/jsapiTickets",
  payload: Schema.Struct({}),
  success: Schema.Struct({
    jsapiTicket: Secret,
    /** seconds; 7200 in practice */
    expireIn: optional.number
  }),
  idempotent: true
})

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
  state: optional.string,
  error: optional.string
})

/**
 * The one-time code of a sign-in, under either name.
 *
 * @since 0.1.0
 * @category functions
 */
export const authCodeOf = (callback: typeof SignInCallback.Type): Redacted.Redacted | undefined =>
  callback.authCode ?? callback.code
