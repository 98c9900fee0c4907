import * as AccessToken from "@effect-dingtalk/core/AccessToken"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as TokenStore from "../TokenStore.js"
import type { TokenStoreError } from "../TokenStore.js"
import * as tokenCell from "./tokenCell.js"

/** @internal */
export interface Options<E> {
  readonly store: TokenStore.Service | undefined
  readonly key: TokenStore.Key
  /** one fetch; it ends by itself */
  readonly fetch: Effect.Effect<tokenCell.Issued, E>
  /** fails where a fetch is bound to, and costs no request */
  readonly ready?: Effect.Effect<unknown, E> | undefined
  /** lets fetches through one after another; nobody waits for a turn with a lease in hand */
  readonly paced?: (<A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>) | undefined
  /** how long another process' fetch is waited for, before it is done without one another */
  readonly patience: Duration.Duration
}

const SHORTEST_NAP = 20
const LONGEST_NAP = 250

/** What a look into the store, and the wait for whoever fetches, came to. */
type Outcome = Adopting | Fetching

interface Adopting {
  readonly _tag: "Adopt"
  readonly token: TokenStore.StoredToken
  readonly version: string | undefined
}

interface Fetching {
  readonly _tag: "Fetch"
  readonly replaces: string | undefined
}

const NOTHING_KNOWN: Fetching = { _tag: "Fetch", replaces: undefined }

const toIssued = (token: TokenStore.StoredToken, now: number): tokenCell.Issued => ({
  value: token.value,
  expireIn: (token.expiresAt - token.issuedAt) / 1000,
  // A writer whose clock is ahead must not make the token live longer here.
  askedAt: Math.min(token.issuedAt, now)
})

/**
 * The lease, or `undefined` where somebody else has it, for as long as the scope lives. A store that hangs would hang who
 * takes or gives back without being interruptible; a lease that is left behind ends by itself.
 *
 * @internal
 */
export const leased = (
  store: TokenStore.Service,
  key: TokenStore.Key
): Effect.Effect<TokenStore.Lease | undefined, TokenStoreError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.interruptible(store.lease(key)),
    (lease) =>
      lease === undefined ? Effect.void : Effect.flatMap(
        // Of its own, for what is interruptible ends at once in a fiber that is being interrupted.
        Effect.forkDaemon(Effect.interruptible(lease.release)),
        Fiber.await
      )
  )

/**
 * Keeps the right that a lease gives for as long as the scope lives. A store that fails meanwhile is asked again: where
 * nobody else has taken the lease by then, it is still ours.
 *
 * @internal
 */
export const renewing = (
  store: TokenStore.Service,
  lease: TokenStore.Lease
): Effect.Effect<void, never, Scope.Scope> =>
  // `repeat` would bring all of `Schedule` into a bundle.
  Effect.iterate(true, {
    while: identity,
    body: () =>
      Effect.zipRight(
        Effect.sleep(Duration.times(store.leaseFor, 1 / 3)),
        Effect.orElseSucceed(lease.renew, () => true)
      )
  }).pipe(
    Effect.forkScoped,
    Effect.asVoid
  )

/**
 * A fetch that is made once for all the processes of a store: whoever has the lease fetches, the others read what it
 * brings. Without the lease, or without the store, it is still right; only the number of fetches is larger.
 *
 * @internal
 */
export const make = <E>(options: Options<E>) => {
  const { key, store } = options
  const paced = options.paced ?? identity
  const ready = options.ready ?? Effect.void
  const patience = Duration.toMillis(options.patience)
  const fetch = Effect.flatMap(
    Clock.currentTimeMillis,
    (askedAt) =>
      Effect.map(options.fetch, (issued): tokenCell.Issued => ({ ...issued, askedAt: issued.askedAt ?? askedAt }))
  )

  if (store === undefined) {
    const alone = Effect.zipRight(ready, paced(fetch))
    return () => alone
  }

  // What this process took from the store last, or wrote there: it holds nothing new, whatever its writer's clock says.
  let known: string | undefined

  const take = ({ token, version }: Adopting) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      known = version
      return toIssued(token, now)
    })

  return (
    rejected: Redacted.Redacted | undefined,
    before: AccessToken.AccessToken | undefined
  ): Effect.Effect<tokenCell.Issued, E> => {
    /** The first one is taken as it is while it lives; a refresh wants one that is not itself due. */
    const isUsable = (token: TokenStore.StoredToken, isKnown: boolean, now: number): boolean => {
      if (now >= token.expiresAt) return false
      if (rejected !== undefined && AccessToken.isSame(token.value, rejected)) {
        // Another process has been given the same one again, a moment ago: so would this one be.
        return !isKnown && Math.abs(now - token.issuedAt) < tokenCell.SAME_AGAIN
      }
      return before === undefined || (!isKnown && token.expiresAt > before.expiresAt &&
        now < tokenCell.refreshAt(token.expiresAt, token.issuedAt))
    }

    const look: Effect.Effect<Outcome, TokenStoreError> = Effect.zipWith(
      store.read(key),
      Clock.currentTimeMillis,
      ({ token, version }, now): Outcome =>
        token !== undefined && isUsable(token, version === known, now)
          ? { _tag: "Adopt", token, version }
          : { _tag: "Fetch", replaces: version }
    )

    /** Until the right to fetch is ours, or what somebody else has fetched is there, or nothing that helps will be. */
    const wait = (
      seen: string | undefined,
      since: number,
      nap: number
    ): Effect.Effect<Outcome, TokenStoreError, Scope.Scope> =>
      Effect.flatMap(hold, (isOurs) =>
        // What its holder before us brought is there by now.
        isOurs ? look : Effect.gen(function*() {
          const random = yield* Random.next
          yield* Effect.sleep(Duration.millis(nap * (0.5 + random)))
          const outcome = yield* look
          const now = yield* Clock.currentTimeMillis
          // Written meanwhile, and of no use here: so would be what the next one writes.
          const isInVain = outcome._tag === "Fetch" && outcome.replaces !== seen
          if (outcome._tag === "Adopt" || isInVain || now - since >= patience) return outcome
          return yield* wait(seen, since, Math.min(nap * 1.5, LONGEST_NAP))
        }))

    /** Takes the lease, and keeps it until the scope ends. */
    const hold: Effect.Effect<boolean, TokenStoreError, Scope.Scope> = Effect.gen(function*() {
      const lease = yield* leased(store, key)
      if (lease === undefined) return false
      yield* renewing(store, lease)
      return true
    })

    const keep = (issued: tokenCell.Issued, replaces: string | undefined, attempts = 3): Effect.Effect<void> => {
      const issuedAt = issued.askedAt!
      const token = { value: issued.value, issuedAt, expiresAt: issuedAt + tokenCell.lifeOf(issued.expireIn) }
      return Effect.ignore(
        Effect.flatMap(store.write(key, token, { replaces }), (version) => {
          if (version !== undefined) {
            known = version
            return Effect.void
          }
          if (attempts === 1) return Effect.void
          return Effect.flatMap(
            store.read(key),
            // An older result never overwrites a newer one.
            (found) =>
              found.token !== undefined && found.token.issuedAt >= issuedAt
                ? Effect.void
                : keep(issued, found.version, attempts - 1)
          )
        })
      )
    }

    const fetchOnce = (seen: string | undefined) =>
      Effect.scoped(Effect.gen(function*() {
        const since = yield* Clock.currentTimeMillis
        // A store that is down, here or at any time, is no reason to fail.
        const outcome = yield* Effect.orElseSucceed(wait(seen, since, SHORTEST_NAP), () => NOTHING_KNOWN)
        if (outcome._tag === "Adopt") return yield* take(outcome)
        const issued = yield* fetch
        yield* keep(issued, outcome.replaces)
        return issued
      }))

    return Effect.flatMap(
      Effect.orElseSucceed(look, () => NOTHING_KNOWN),
      (outcome) => outcome._tag === "Adopt" ? take(outcome) : Effect.zipRight(ready, paced(fetchOnce(outcome.replaces)))
    )
  }
}
