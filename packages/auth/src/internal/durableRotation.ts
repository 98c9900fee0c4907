import * as AccessToken from "@effect-dingtalk/core/AccessToken"
import { SignInRequired, TransportError } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as TokenStore from "../TokenStore.js"
import type { TokenStoreError } from "../TokenStore.js"
import type { UserTokens } from "../UserSession.js"
import type * as Background from "./background.js"
import type { Failure, Rotation } from "./session.js"
import * as session from "./session.js"

// The life of a refresh token (reference 1.1, T3).
const KEEP = Duration.days(30)
// Whoever holds a session that was ended has an access token of it for at most so long.
const KEEP_ENDED = Duration.days(1)
const NAP = 50
// Longer than an exchange usually takes; it delays only who comes after a process that died in the middle of one.
const SPENDING = Duration.toMillis("5 seconds")

/** @internal */
export const toStored = (tokens: UserTokens): TokenStore.StoredToken => ({
  value: tokens.accessToken,
  issuedAt: tokens.issuedAt ?? tokens.expiresAt - Duration.toMillis("2 hours"),
  expiresAt: tokens.expiresAt,
  refreshToken: tokens.refreshToken,
  corpId: tokens.corpId
})

/** @internal */
export const toTokens = (stored: TokenStore.StoredToken): UserTokens => ({
  accessToken: stored.value,
  refreshToken: stored.refreshToken,
  expiresAt: stored.expiresAt,
  issuedAt: stored.issuedAt,
  corpId: stored.corpId as UserTokens["corpId"]
})

/** @internal */
export const storeFailed = (error: TokenStoreError) =>
  new TransportError({
    endpoint: OAuth2.GetUserToken.name,
    reason: "Store",
    description: `the session was left as it is: ${error.message}`
  })

/**
 * Keeps tokens whatever others write meanwhile, unless what they wrote is newer.
 *
 * @internal
 */
export const keep = (
  store: TokenStore.Service,
  key: TokenStore.Key,
  token: TokenStore.StoredToken,
  replaces: string | undefined
): Effect.Effect<void, TokenStoreError> =>
  Effect.flatMap(
    store.write(key, token, { replaces, keepFor: KEEP }),
    (version) =>
      version !== undefined ? Effect.void : Effect.flatMap(
        store.read(key),
        (found) =>
          found.token !== undefined && (found.token.issuedAt > token.issuedAt || found.token.endedAt !== undefined)
            ? Effect.void
            : keep(store, key, token, found.version)
      )
  )

/**
 * As `keep`; where the store fails, goes on trying in the background for as long as the tokens are of use.
 *
 * @internal
 */
export const keepAtLast = (
  store: TokenStore.Service,
  key: TokenStore.Key,
  token: TokenStore.StoredToken,
  replaces: string | undefined,
  fork: Background.Fork
): Effect.Effect<void> =>
  Effect.catchAll(keep(store, key, token, replaces), () =>
    Effect.zipRight(
      Effect.logWarning("DingTalk session: the new tokens are not in the store yet; it is tried again"),
      Effect.sync(() => {
        fork(
          Effect.flatMap(store.read(key), (found) =>
            found.token !== undefined && (found.token.issuedAt > token.issuedAt || found.token.endedAt !== undefined)
              ? Effect.void
              : keep(store, key, token, found.version)).pipe(
              Effect.retry(
                Schedule.exponential("1 second").pipe(
                  Schedule.union(Schedule.spaced("30 seconds")),
                  Schedule.upTo(KEEP)
                )
              ),
              Effect.ignore
            )
        )
      })
    ))

/** @internal */
export const end = (store: TokenStore.Service, key: TokenStore.Key): Effect.Effect<void, TokenStoreError> =>
  Effect.flatMap(Effect.zip(store.read(key), Clock.currentTimeMillis), ([found, now]) => {
    if (found.version === undefined) return Effect.void
    const ended = { value: NOTHING, issuedAt: now, expiresAt: now, endedAt: now }
    return Effect.flatMap(
      store.write(key, ended, { replaces: found.version, keepFor: KEEP_ENDED }),
      (version) => version === undefined ? end(store, key) : Effect.void
    )
  })

const NOTHING = AccessToken.make("", 0).value

/**
 * A refresh token is good for one use, so it is put on record that it is being spent before it is: of two processes that
 * do so at once, the store lets one, and the other takes what that one brings. Who cannot put it on record does not spend
 * it. A process that dies in between leaves the record behind; the next one tries, and where the platform says that the
 * token has been used, the person must sign in.
 *
 * @internal
 */
export const make = (options: {
  readonly store: TokenStore.Service
  readonly key: TokenStore.Key
  readonly patience: Duration.Duration
  readonly fork: Background.Fork
}): Rotation => {
  const { fork, key, store } = options
  const patience = Duration.toMillis(options.patience)
  // A token that was refused is not sent again; somebody else may still bring a newer one.
  let refused: { readonly refreshToken: Redacted.Redacted; readonly error: SignInRequired } | undefined

  return (current, rejected, exchange) => {
    type Step = Effect.Effect<UserTokens | undefined, Failure | TokenStoreError, Scope.Scope>

    /** What another process has brought, where it is of use. */
    const adopted = (stored: TokenStore.StoredToken | undefined, now: number): UserTokens | undefined => {
      if (stored === undefined) return undefined
      const tokens = toTokens(stored)
      const isRefused = rejected !== undefined && AccessToken.isSame(tokens.accessToken, rejected)
      return session.isSame(tokens, current) || isRefused || now >= tokens.expiresAt ? undefined : tokens
    }

    /** A lease may be lost by a process that is slow but alive: what it is spending is left to it for a while. */
    const isBeingSpent = (stored: TokenStore.StoredToken | undefined, now: number): boolean =>
      stored?.spendingSince !== undefined && now >= stored.spendingSince && now - stored.spendingSince < SPENDING

    const look = Effect.flatMap(
      store.read(key),
      (found) => found.token?.endedAt === undefined ? Effect.succeed(found) : Effect.fail(session.signInRequired())
    )

    /** `undefined`: somebody else is at it, look again in a moment */
    const attempt: Step = Effect.gen(function*() {
      const lease = yield* Effect.acquireRelease(
        store.lease(key),
        (lease) => lease === undefined ? Effect.void : Effect.ignore(lease.release)
      )
      const found = yield* look
      const now = yield* Clock.currentTimeMillis
      const theirs = adopted(found.token, now)
      if (theirs !== undefined) return theirs
      if (lease === undefined || isBeingSpent(found.token, now)) return undefined
      yield* Effect.sleep(Duration.times(store.leaseFor, 1 / 3)).pipe(
        Effect.zipRight(lease.renew),
        Effect.repeat({ while: (isOurs) => isOurs }),
        Effect.ignore,
        Effect.forkScoped
      )
      // An unreadable or lost record is mended with what is at hand.
      const base = found.token ?? toStored(current)
      const { refreshToken } = base
      if (refreshToken === undefined) return yield* session.signInRequired()
      if (refused !== undefined && AccessToken.isSame(refused.refreshToken, refreshToken)) return yield* refused.error
      const mark = yield* store.write(key, { ...base, spendingSince: now }, { replaces: found.version, keepFor: KEEP })
      if (mark === undefined) return undefined

      const { spendingSince: _, ...unspent } = base
      const next = yield* exchange(refreshToken, toTokens(base)).pipe(
        Effect.tapError((error) => {
          if (error._tag !== "SignInRequired") {
            // Not refused: it may be tried again.
            return Effect.ignore(store.write(key, unspent, { replaces: mark, keepFor: KEEP }))
          }
          refused = { refreshToken, error }
          return Effect.void
        }),
        // Spent by a process that was taken for dead, and which has brought the next one meanwhile.
        Effect.catchTag(
          "SignInRequired",
          (error) =>
            Effect.flatMap(Effect.zip(Effect.option(look), Clock.currentTimeMillis), ([again, now]) => {
              const theirs = again._tag === "Some" ? adopted(again.value.token, now) : undefined
              return theirs === undefined ? Effect.fail(error) : Effect.succeed(theirs)
            })
        )
      )
      yield* keepAtLast(store, key, toStored(next), mark, fork)
      return next
    })

    const go = (since: number): Effect.Effect<UserTokens, Failure | TokenStoreError> =>
      Effect.flatMap(
        Effect.scoped(attempt),
        (tokens) =>
          tokens !== undefined ? Effect.succeed(tokens) : Effect.gen(function*() {
            if ((yield* Clock.currentTimeMillis) - since >= patience) return yield* session.late(options.patience)
            const random = yield* Random.next
            yield* Effect.sleep(Duration.millis(NAP * (0.5 + random)))
            return yield* go(since)
          })
      )

    return Effect.flatMap(Clock.currentTimeMillis, go).pipe(
      Effect.catchTag("TokenStoreError", (error) => Effect.fail(storeFailed(error)))
    )
  }
}
