/**
 * One signed-in person: their one-time code is exchanged once, their token refreshed when somebody asks for it, their
 * refresh token rotated.
 *
 * @since 0.1.0
 */
import * as DingTalk from "@effect-dingtalk/core/DingTalk"
import type { CommonError, InvalidAuthCode } from "@effect-dingtalk/core/DingTalkError"
import * as Identifier from "@effect-dingtalk/core/Identifier"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import type { Service } from "@effect-dingtalk/core/UserSession"
import { UserSession } from "@effect-dingtalk/core/UserSession"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AppCredentials } from "./AppCredentials.js"
import * as session from "./internal/session.js"

export {
  /**
   * A session with one fixed token that never ends.
   *
   * @since 0.1.0
   * @category testing
   */
  layerTest,
  /**
   * @since 0.1.0
   * @category models
   */
  type Service,
  /**
   * @since 0.1.0
   * @category tags
   */
  UserSession
} from "@effect-dingtalk/core/UserSession"

/**
 * What a session is made of, to keep it between requests. Encoding writes the tokens in clear: encrypt what you store.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UserTokens = Schema.Struct({
  accessToken: Schema.Redacted(Schema.String),
  /** good for 30 days and for one use; a session without it ends with its access token */
  refreshToken: Schema.optional(Schema.Redacted(Schema.String)),
  /** of the access token, milliseconds since the epoch */
  expiresAt: Schema.Number,
  /** milliseconds since the epoch, before the tokens were asked for */
  issuedAt: Schema.optional(Schema.Number),
  /** the organisation that the person chose, with scope `openid corpid` */
  corpId: Schema.optional(Identifier.CorpId)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface UserTokens extends Schema.Schema.Type<typeof UserTokens> {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Session extends Service {
  readonly corpId: Identifier.CorpId | undefined
  /** as they are now, to keep between requests */
  readonly tokens: Effect.Effect<UserTokens>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Called with the new tokens after every refresh, before anybody gets them: the refresh token before it is spent, so
   * what is not kept here is lost with the process. It may take as long as `timeout`; where it fails, that is logged,
   * and the session goes on. It must not ask the session for its token, which waits for it.
   */
  readonly onRotate?: ((tokens: UserTokens) => Effect.Effect<void>) | undefined
  /** the longest that one refresh may take; 10 seconds unless it says otherwise */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * Exchanges the one-time code that the sign-in page gave; a second exchange of the same code fails with
 * `InvalidAuthCode`. Source: reference 1.4.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { UserSession } from "@effect-dingtalk/auth"
 * import { Contact } from "@effect-dingtalk/core"
 * import { Effect, Redacted } from "effect"
 *
 * // in the handler of your redirect URI; needs DingTalk and AppCredentials
 * const whoSignedIn = (authCode: string) =>
 *   Effect.gen(function*() {
 *     const session = yield* UserSession.signIn({ authCode: Redacted.make(authCode) })
 *     return yield* Effect.provideService(Contact.getMe, UserSession.UserSession, session)
 *   })
 * console.log(typeof whoSignedIn) // function
 * ```
 */
export const signIn = (
  options: Options & { readonly authCode: Redacted.Redacted }
): Effect.Effect<Session, CommonError | InvalidAuthCode, DingTalk.DingTalk | AppCredentials> =>
  Effect.gen(function*() {
    const credentials = yield* AppCredentials
    const askedAt = yield* Clock.currentTimeMillis
    const answer = yield* DingTalk.call(OAuth2.GetUserToken, {
      clientId: credentials.clientId,
      clientSecret: credentials.clientSecret,
      grantType: "authorization_code",
      code: options.authCode
    })
    return yield* session.start(session.toTokens(answer, askedAt), options)
  })

/**
 * Takes up a session again from what `tokens` or `onRotate` gave. Two sessions from the same tokens would both spend the
 * one refresh token, and the second would be over: keep one session a person.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resume = (
  tokens: UserTokens,
  options: Options = {}
): Effect.Effect<Session, never, DingTalk.DingTalk | AppCredentials> => session.start(tokens, options)

/**
 * A session for a whole program, such as a script for one person; a server makes one per request with `signIn` or
 * `resume`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options & { readonly authCode: Redacted.Redacted }
): Layer.Layer<UserSession, CommonError | InvalidAuthCode, DingTalk.DingTalk | AppCredentials> =>
  Layer.effect(UserSession, signIn(options))
