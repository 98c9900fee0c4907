import * as AccessToken from "@effect-dingtalk/core/AccessToken"
import { TransportError } from "@effect-dingtalk/core/DingTalkError"
import type { SignInRequired } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as TokenStore from "../TokenStore.js"
import type { UserTokens } from "../UserSession.js"
import type * as Background from "./background.js"
import type { Failure, Rotation } from "./session.js"
import * as session from "./session.js"
import * as sharedToken from "./sharedToken.js"
import * as Turns from "./turns.js"

// The life of a refresh token (reference 1.1, T3): for so long somebody may hold a session, and must learn that it ended.
const KEEP = Duration.days(30)
const NAP = 50
const LONGEST_NAP = 500
// Longer than an exchange usually takes; it delays only who comes after a process that died in the middle of one.
const SPENDING = Duration.toMillis("5 seconds")
// Who finds a newer version each time is not going to be last; a store that never takes anything must not be asked for ever.
const ATTEMPTS = 5

// Of all the sessions of a process: who has begun must get through before its lease ends, whoever else waits.
const AT_ONCE = 64
const turns = /*#__PURE__*/ new WeakMap<TokenStore.Service, ReturnType<typeof Turns.make>>()

const turnIn = (store: TokenStore.Service): ReturnType<typeof Turns.make> => {
  const turn = turns.get(store) ?? Turns.make(AT_ONCE)
  turns.set(store, turn)
  return turn
}

/** @internal */
export const toStored = (tokens: UserTokens): TokenStore.StoredToken => ({
  value: tokens.accessToken,
  issuedAt: session.issuedAtOf(tokens),
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
export const storeFailed = (error: TokenStore.TokenStoreError) =>
  new TransportError({
    endpoint: OAuth2.GetUserToken.name,
    reason: "Store",
    description: `the session was left as it is: ${error.message}`
  })

/**
 * What a process with other keys has written is left to it: to replace it would end a session that lives.
 *
 * @internal
 */
export const read = (
  store: TokenStore.Service,
  key: TokenStore.Key
): Effect.Effect<TokenStore.Found, TokenStore.TokenStoreError> =>
  Effect.flatMap(store.read(key), (found) => found.isSealed === true ? Effect.fail(sealed) : Effect.succeed(found))

const sealed = /*#__PURE__*/ new TokenStore.TokenStoreError({
  operation: "read",
  description: "the session is encrypted with a key that is not given here"
})

const refusedToWrite = /*#__PURE__*/ new TokenStore.TokenStoreError({
  operation: "write",
  description: "the session changed, or the store refused, each time"
})

/** What others have written meanwhile, and that must stay. */
type Yields = (found: TokenStore.StoredToken) => boolean

/** Keeps tokens whatever others write meanwhile, unless what they wrote must stay. */
const keep = (
  store: TokenStore.Service,
  key: TokenStore.Key,
  token: TokenStore.StoredToken,
  replaces: string | undefined,
  yields: Yields,
  attempts = ATTEMPTS
): Effect.Effect<void, TokenStore.TokenStoreError> =>
  Effect.flatMap(
    store.write(key, token, { replaces, keepFor: KEEP }),
    (version) => {
      if (version !== undefined) return Effect.void
      if (attempts === 1) return Effect.fail(refusedToWrite)
      return keepOver(store, key, token, yields, attempts - 1)
    }
  )

const keepOver = (
  store: TokenStore.Service,
  key: TokenStore.Key,
  token: TokenStore.StoredToken,
  yields: Yields,
  attempts = ATTEMPTS
): Effect.Effect<void, TokenStore.TokenStoreError> =>
  Effect.flatMap(
    store.read(key),
    (found) =>
      found.token !== undefined && yields(found.token)
        ? Effect.void
        : keep(store, key, token, found.version, yields, attempts)
  )

const LATER = /*#__PURE__*/ Schedule.exponential("1 second").pipe(
  /*#__PURE__*/ Schedule.union(/*#__PURE__*/ Schedule.spaced("30 seconds")),
  /*#__PURE__*/ Schedule.upTo(KEEP)
)

/** What could not be kept at once is tried again in the background, for as long as it is of use. */
const orLater = (
  now: Effect.Effect<void, TokenStore.TokenStoreError>,
  later: Effect.Effect<void, TokenStore.TokenStoreError>,
  fork: Background.Fork
): Effect.Effect<boolean> =>
  Effect.matchEffect(now, {
    onSuccess: () => Effect.succeed(true),
    onFailure: () =>
      Effect.logWarning("DingTalk session: the new tokens are not in the store yet; it is tried again").pipe(
        Effect.zipRight(Effect.sync(() => {
          fork(Effect.ignore(Effect.retry(later, LATER)))
        })),
        Effect.as(false)
      )
  })

/**
 * Keeps a session that begins: it replaces the one of this id, but for one that began, or ended, later.
 *
 * @internal
 */
export const begin = (
  store: TokenStore.Service,
  key: TokenStore.Key,
  token: TokenStore.StoredToken,
  fork: Background.Fork
): Effect.Effect<void> => {
  const hasEnded: Yields = (found) => found.endedAt !== undefined && found.endedAt >= token.issuedAt
  return Effect.asVoid(orLater(
    keepOver(store, key, token, hasEnded),
    keepOver(store, key, token, (found) => hasEnded(found) || found.issuedAt > token.issuedAt),
    fork
  ))
}

/** @internal */
export const end = (
  store: TokenStore.Service,
  key: TokenStore.Key,
  attempts = ATTEMPTS
): Effect.Effect<void, TokenStore.TokenStoreError> =>
  Effect.flatMap(Effect.zip(store.read(key), Clock.currentTimeMillis), ([found, now]) => {
    if (found.version === undefined || found.token?.endedAt !== undefined) return Effect.void
    const ended = { value: NOTHING, issuedAt: now, expiresAt: now, endedAt: now }
    return Effect.flatMap(
      store.write(key, ended, { replaces: found.version, keepFor: KEEP }),
      (version) => {
        if (version !== undefined) return Effect.void
        return attempts === 1 ? Effect.fail(refusedToWrite) : end(store, key, attempts - 1)
      }
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
  const turn = turnIn(store)
  const patience = Duration.toMillis(options.patience)
  // A token that was refused is not sent again; somebody else may still bring a newer one.
  let refused: { readonly refreshToken: Redacted.Redacted; readonly error: SignInRequired } | undefined
  // The access token on record that the tokens at hand have replaced, where they could not be written yet.
  let unwrittenOver: Redacted.Redacted | undefined

  return (current, rejected, exchange) => {
    type Step = Effect.Effect<UserTokens | undefined, Failure | TokenStore.TokenStoreError, Scope.Scope>

    /** What another process has brought, where it is of use. */
    const adopted = (stored: TokenStore.StoredToken | undefined, now: number): UserTokens | undefined => {
      if (stored === undefined || isBehind(stored)) return undefined
      const tokens = toTokens(stored)
      const isRefused = rejected !== undefined && AccessToken.isSame(tokens.accessToken, rejected)
      return session.isSame(tokens, current) || isRefused || now >= tokens.expiresAt ? undefined : tokens
    }

    /** Whether the record still lacks what this process has at hand. */
    const isBehind = (stored: TokenStore.StoredToken): boolean =>
      unwrittenOver !== undefined && AccessToken.isSame(stored.value, unwrittenOver)

    /** A lease may be lost by a process that is slow but alive: what it is spending is left to it for a while. */
    const isBeingSpent = (stored: TokenStore.StoredToken | undefined, now: number): boolean =>
      stored?.spendingSince !== undefined && !isBehind(stored) && Math.abs(now - stored.spendingSince) < SPENDING

    /** From what the next tokens are exchanged: what is on record, mended with what is at hand. */
    const baseOf = (stored: TokenStore.StoredToken | undefined): TokenStore.StoredToken =>
      stored === undefined || isBehind(stored) || (stored.refreshToken === undefined && isNewer(current, stored))
        ? toStored(current)
        : stored

    const look = Effect.flatMap(
      read(store, key),
      (found) =>
        found.token?.endedAt === undefined
          ? Effect.succeed(found)
          : Effect.fail(new session.Ended({ endpoint: OAuth2.GetUserToken.name }))
    )

    /** `undefined`: somebody else is at it, look again in a moment */
    const attempt: Step = Effect.gen(function*() {
      const lease = yield* sharedToken.leased(store, key)
      const found = yield* look
      const now = yield* Clock.currentTimeMillis
      const theirs = adopted(found.token, now)
      if (theirs !== undefined) return theirs
      if (lease === undefined || isBeingSpent(found.token, now)) return undefined
      yield* sharedToken.renewing(store, lease)
      const base = baseOf(found.token)
      const { refreshToken } = base
      if (refreshToken === undefined) return yield* session.signInRequired()
      if (refused !== undefined && AccessToken.isSame(refused.refreshToken, refreshToken)) return yield* refused.error
      const mark = yield* store.write(key, { ...base, spendingSince: now }, { replaces: found.version, keepFor: KEEP })
      if (mark === undefined) return undefined
      // What is at hand is on record with the mark.
      unwrittenOver = undefined

      const { spendingSince: _, ...unspent } = base
      const next = yield* exchange(refreshToken, toTokens(base)).pipe(
        Effect.catchAll((error): Effect.Effect<UserTokens, Failure> => {
          if (error._tag !== "SignInRequired") {
            // Not refused: it may be tried again.
            const unmark = store.write(key, unspent, { replaces: mark, keepFor: KEEP })
            return Effect.zipRight(Effect.ignore(unmark), Effect.fail(error))
          }
          refused = { refreshToken, error }
          return Effect.flatMap(Effect.zip(Effect.option(look), Clock.currentTimeMillis), ([again, now]) => {
            // Spent by a process that was taken for dead, and which has brought the next one meanwhile.
            const theirs = Option.isSome(again) ? adopted(again.value.token, now) : undefined
            if (theirs !== undefined) return Effect.succeed(theirs)
            // Nobody needs to ask again; if that process lives after all, what it brings replaces this.
            const { refreshToken: _, ...spent } = unspent
            const note = store.write(key, spent, { replaces: mark, keepFor: KEEP })
            return Effect.zipRight(Effect.ignore(note), Effect.fail(error))
          })
        })
      )
      const isTheirs: Yields = (found) => found.endedAt !== undefined || !AccessToken.isSame(found.value, base.value)
      const token = toStored(next)
      const isWritten = yield* orLater(
        keep(store, key, token, mark, isTheirs),
        keepOver(store, key, token, isTheirs),
        fork
      )
      unwrittenOver = isWritten ? undefined : base.value
      return next
    })

    /** What somebody else spends is looked at only: a thousand sessions that wait must not keep the store busy. */
    const again: Step = Effect.flatMap(
      Effect.zip(look, Clock.currentTimeMillis),
      ([{ token }, now]) =>
        isBeingSpent(token, now) && adopted(token, now) === undefined ? Effect.succeed(undefined) : attempt
    )

    const go = (
      since: number,
      step = attempt,
      nap = NAP
    ): Effect.Effect<UserTokens, Failure | TokenStore.TokenStoreError> =>
      Effect.flatMap(
        turn(Effect.scoped(step)),
        (tokens) =>
          tokens !== undefined ? Effect.succeed(tokens) : Effect.gen(function*() {
            if ((yield* Clock.currentTimeMillis) - since >= patience) return yield* session.late(options.patience)
            const random = yield* Random.next
            yield* Effect.sleep(Duration.millis(nap * (0.5 + random)))
            return yield* go(since, again, Math.min(nap * 1.5, LONGEST_NAP))
          })
      )

    return Effect.flatMap(Clock.currentTimeMillis, (since) => go(since)).pipe(
      Effect.catchTag("TokenStoreError", (error) => Effect.fail(storeFailed(error)))
    )
  }
}

const isNewer = (tokens: UserTokens, stored: TokenStore.StoredToken): boolean =>
  session.issuedAtOf(tokens) > stored.issuedAt
