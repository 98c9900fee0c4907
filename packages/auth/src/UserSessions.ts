/**
 * Sessions of signed-in people in a `TokenStore`, so that every process of a back end has them and a restart loses none.
 * However many processes refresh one at once, its one-time refresh token is exchanged once.
 *
 * @since 0.1.0
 */
import * as DingTalk from "@effect-dingtalk/core/DingTalk"
import type { CommonError, InvalidAuthCode, SignInRequired } from "@effect-dingtalk/core/DingTalkError"
import { TransportError } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import type * as Redacted from "effect/Redacted"
import { AppCredentials } from "./AppCredentials.js"
import * as Background from "./internal/background.js"
import * as durableRotation from "./internal/durableRotation.js"
import * as session from "./internal/session.js"
import type { Key } from "./TokenStore.js"
import { TokenStore } from "./TokenStore.js"
import type { Session, UserTokens } from "./UserSession.js"
import * as UserSession from "./UserSession.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * names the session: what your cookie holds, or a person's `unionId`. The store gets only its SHA-256, so that who
   * reads the store cannot take sessions over.
   */
  readonly id: string
  /** the longest that one refresh may take; 10 seconds unless it says otherwise */
  readonly timeout?: Duration.DurationInput | undefined
}

// Global in Node, Bun, Deno and on the edge, but in no library of the ECMAScript standard.
declare const crypto: {
  readonly subtle: { readonly digest: (algorithm: string, data: Uint8Array) => Promise<ArrayBuffer> }
}
declare const TextEncoder: new() => { readonly encode: (text: string) => Uint8Array }

const OVER_FOR = Duration.seconds(30)

const keyOf = (id: string): Effect.Effect<Key, TransportError, DingTalk.DingTalk | AppCredentials> =>
  Effect.gen(function*() {
    if (id.trim() === "") {
      return yield* new TransportError({
        endpoint: OAuth2.GetUserToken.name,
        reason: "Encode",
        path: "id",
        description: "expected text that names the session"
      })
    }
    const { host } = yield* DingTalk.DingTalk
    const { clientId } = yield* AppCredentials
    const digest = yield* Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(id)))
    return { host: host ?? "", clientId, kind: "user", subject: Encoding.encodeHex(new Uint8Array(digest)) }
  })

const start = (
  tokens: UserTokens,
  key: Key,
  options: Options
): Effect.Effect<Session, never, DingTalk.DingTalk | AppCredentials | TokenStore> =>
  Effect.gen(function*() {
    const store = yield* TokenStore
    const fork = yield* Background.make()
    const patience = Duration.decode(options.timeout ?? "10 seconds")
    return yield* session.start(tokens, {
      timeout: patience,
      rotation: durableRotation.make({ store, key, patience, fork }),
      overFor: OVER_FOR
    })
  })

/**
 * Exchanges the one-time code that the sign-in page gave, and keeps the session under its id; one that has the id already
 * is replaced. Where the store fails, the person is signed in all the same, and it is tried again in the background.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { UserSession, UserSessions } from "@effect-dingtalk/auth"
 * import { Contact } from "@effect-dingtalk/core"
 * import { Effect, Redacted } from "effect"
 *
 * // in the handler of your redirect URI; `id` is what the cookie will hold
 * const onCallback = (id: string, authCode: string) =>
 *   UserSessions.signIn({ id, authCode: Redacted.make(authCode) })
 *
 * // in any other handler, of any process: fails with SignInRequired where there is no such session
 * const whoAmI = (id: string) =>
 *   Effect.provideServiceEffect(Contact.getMe, UserSession.UserSession, UserSessions.open({ id }))
 * console.log(typeof onCallback, typeof whoAmI) // function function
 * ```
 */
export const signIn = (
  options: Options & { readonly authCode: Redacted.Redacted }
): Effect.Effect<
  Session,
  CommonError | InvalidAuthCode,
  DingTalk.DingTalk | AppCredentials | TokenStore
> =>
  Effect.gen(function*() {
    const key = yield* keyOf(options.id)
    const store = yield* TokenStore
    const fork = yield* Background.make()
    const signedIn = yield* UserSession.signIn({ authCode: options.authCode, timeout: options.timeout })
    const tokens = yield* signedIn.tokens
    yield* durableRotation.begin(store, key, durableRotation.toStored(tokens), fork)
    return yield* start(tokens, key, options)
  })

/**
 * The session of this id, as it is in the store now. Fails with `SignInRequired` where there is none or it was ended,
 * with `TransportError` (`Store`) where the store does not answer, or has it under a key that this process lacks.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (
  options: Options
): Effect.Effect<Session, SignInRequired | TransportError, DingTalk.DingTalk | AppCredentials | TokenStore> =>
  Effect.gen(function*() {
    const key = yield* keyOf(options.id)
    const store = yield* TokenStore
    const { token } = yield* Effect.mapError(durableRotation.read(store, key), durableRotation.storeFailed)
    if (token === undefined || token.endedAt !== undefined) return yield* session.signInRequired()
    return yield* start(durableRotation.toTokens(token), key, options)
  })

/**
 * Signs the person out of this app: the session of this id is over, at once for whoever opens it, and at its next refresh
 * for who holds it already.
 *
 * @since 0.1.0
 * @category functions
 */
export const signOut = (
  options: Pick<Options, "id">
): Effect.Effect<void, TransportError, DingTalk.DingTalk | AppCredentials | TokenStore> =>
  Effect.gen(function*() {
    const key = yield* keyOf(options.id)
    const store = yield* TokenStore
    yield* Effect.mapError(durableRotation.end(store, key), durableRotation.storeFailed)
  })
