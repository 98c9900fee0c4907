import * as AccessToken from "@effect-dingtalk/core/AccessToken"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
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
  /** how long another process' fetch is waited for, before it is done without one another */
  readonly patience: Duration.Duration
}

const SHORTEST_NAP = 20
const LONGEST_NAP = 250

/** What a look into the store, and the wait for whoever fetches, came to. */
type Outcome =
  | { readonly _tag: "Adopt"; readonly token: TokenStore.StoredToken }
  | { readonly _tag: "Fetch"; readonly replaces: string | undefined }

const toIssued = (token: TokenStore.StoredToken, now: number): tokenCell.Issued => ({
  value: token.value,
  expireIn: (token.expiresAt - token.issuedAt) / 1000,
  // A writer whose clock is ahead must not make the token live longer here.
  askedAt: Math.min(token.issuedAt, now)
})

/**
 * A fetch that is made once for all the processes of a store: whoever has the lease fetches, the others read what it
 * brings. Without the lease, or without the store, it is still right; only the number of fetches is larger.
 *
 * @internal
 */
export const make = <E>(options: Options<E>) => {
  const { key, store } = options
  const patience = Duration.toMillis(options.patience)
  const fetch = Effect.flatMap(
    Clock.currentTimeMillis,
    (askedAt) =>
      Effect.map(options.fetch, (issued): tokenCell.Issued => ({ ...issued, askedAt: issued.askedAt ?? askedAt }))
  )

  if (store === undefined) return () => fetch

  return (
    rejected: Redacted.Redacted | undefined,
    before: AccessToken.AccessToken | undefined
  ): Effect.Effect<tokenCell.Issued, E> => {
    /** The first one is taken as it is while it lives; a refresh wants one that is not itself due. */
    const isUsable = (token: TokenStore.StoredToken, now: number) =>
      !(rejected !== undefined && AccessToken.isSame(token.value, rejected)) &&
      now < token.expiresAt &&
      (before === undefined ||
        (token.expiresAt > before.expiresAt && now < tokenCell.refreshAt(token.expiresAt, token.issuedAt)))

    const look: Effect.Effect<Outcome, TokenStoreError> = Effect.zipWith(
      store.read(key),
      Clock.currentTimeMillis,
      ({ token, version }, now): Outcome =>
        token !== undefined && isUsable(token, now) ? { _tag: "Adopt", token } : { _tag: "Fetch", replaces: version }
    )

    const wait = (since: number, nap: number): Effect.Effect<Outcome, TokenStoreError, Scope.Scope> =>
      Effect.flatMap(hold, (isOurs) =>
        // What its holder before us brought is there by now.
        isOurs ? look : Effect.gen(function*() {
          const random = yield* Random.next
          yield* Effect.sleep(Duration.millis(nap * (0.5 + random)))
          const outcome = yield* look
          const now = yield* Clock.currentTimeMillis
          if (outcome._tag === "Adopt" || now - since >= patience) return outcome
          return yield* wait(since, Math.min(nap * 1.5, LONGEST_NAP))
        }))

    /** Takes the lease, and keeps it until the scope ends. */
    const hold: Effect.Effect<boolean, TokenStoreError, Scope.Scope> = Effect.gen(function*() {
      const lease = yield* Effect.acquireRelease(
        store.lease(key),
        (lease) => lease === undefined ? Effect.void : Effect.ignore(lease.release)
      )
      if (lease === undefined) return false
      yield* Effect.sleep(Duration.times(store.leaseFor, 1 / 3)).pipe(
        Effect.zipRight(lease.renew),
        Effect.repeat({ while: (isOurs) => isOurs }),
        Effect.ignore,
        Effect.forkScoped
      )
      return true
    })

    const keep = (issued: tokenCell.Issued, replaces: string | undefined, attempts = 3): Effect.Effect<void> => {
      const issuedAt = issued.askedAt!
      const token = { value: issued.value, issuedAt, expiresAt: issuedAt + tokenCell.lifeOf(issued.expireIn) }
      return Effect.ignore(
        Effect.flatMap(
          store.write(key, token, { replaces }),
          (version) =>
            version !== undefined || attempts === 1 ? Effect.void : Effect.flatMap(
              store.read(key),
              // An older result never overwrites a newer one.
              (found) =>
                found.token !== undefined && found.token.issuedAt >= issuedAt
                  ? Effect.void
                  : keep(issued, found.version, attempts - 1)
            )
        )
      )
    }

    return Effect.scoped(Effect.gen(function*() {
      const since = yield* Clock.currentTimeMillis
      // A store that is down, here or at any time, is no reason to fail.
      const outcome = yield* Effect.either(
        Effect.flatMap(
          look,
          (outcome) => outcome._tag === "Adopt" ? Effect.succeed(outcome) : wait(since, SHORTEST_NAP)
        )
      )
      if (Either.isRight(outcome) && outcome.right._tag === "Adopt") {
        return toIssued(outcome.right.token, yield* Clock.currentTimeMillis)
      }
      const issued = yield* fetch
      yield* keep(
        issued,
        Option.getOrUndefined(
          Option.map(Either.getRight(outcome), (fetching) => fetching._tag === "Fetch" ? fetching.replaces : undefined)
        )
      )
      return issued
    }))
  }
}
