/**
 * Tokens in any `KeyValueStore` of `@effect/platform`: in memory, in the storage of a browser or an edge.
 *
 * Such a store can neither compare and set nor let anything expire; this module does both, for one process. Processes
 * that share one are still right about application tokens: at worst each fetches its own, and the last to write wins.
 * User sessions want more. A refresh token is good for one use, so that of two processes that exchange it at once one
 * loses the session: keep these in a file, in SQL or in Redis, or let one process have them.
 *
 * `KeyValueStore.layerFileSystem` makes files that every user of the machine can read, and writes them in place: prefer
 * `@effect-dingtalk/auth/FileTokenStore`, or give `encryption`.
 *
 * @since 0.1.0
 */
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as record from "./internal/record.js"
import * as TokenStore from "./TokenStore.js"

interface Lock {
  readonly semaphore: Effect.Semaphore
  users: number
}

// Of the store, and not of what is built on it: two Layers over one store are one process too.
const locks = /*#__PURE__*/ new WeakMap<KeyValueStore.KeyValueStore, Map<string, Lock>>()

const locksOf = (store: KeyValueStore.KeyValueStore): Map<string, Lock> => {
  const known = locks.get(store)
  if (known !== undefined) return known
  const made = new Map<string, Lock>()
  locks.set(store, made)
  return made
}

/**
 * What `layer` stands on, over a store that is at hand.
 *
 * @since 0.1.0
 * @category constructors
 */
export const backing = (store: KeyValueStore.KeyValueStore): TokenStore.Backing => {
  const locks = locksOf(store)

  const locked = (name: string) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const lock = locks.get(name) ?? { semaphore: Effect.unsafeMakeSemaphore(1), users: 0 }
        lock.users++
        locks.set(name, lock)
        return lock
      }),
      (lock) => lock.semaphore.withPermits(1)(effect),
      (lock) =>
        Effect.sync(() => {
          if (--lock.users === 0) locks.delete(name)
        })
    )

  /** Reads what is there and decides what it becomes, with nobody between. */
  const update = <A>(
    operation: TokenStore.TokenStoreError["operation"],
    kind: "token" | "lease",
    key: string,
    decide: (now: number, text: string | undefined) => { readonly value: A; readonly set?: string | null }
  ): Effect.Effect<A, TokenStore.TokenStoreError> =>
    Effect.flatMap(record.hashOf(key), (hash) => {
      const name = `${kind}.${hash}`
      return Effect.gen(function*() {
        const text = yield* store.get(name)
        const { set, value } = decide(yield* Clock.currentTimeMillis, Option.getOrUndefined(text))
        if (typeof set === "string") yield* store.set(name, set)
        else if (set === null && Option.isSome(text)) yield* store.remove(name)
        return value
      }).pipe(locked(name), Effect.mapError(record.explain(operation)))
    })

  const found = (text: string | undefined, key: string, now: number) =>
    text === undefined ? undefined : record.decodeRow(text, key, now)
  const owning = (text: string | undefined, key: string, now: number) =>
    text === undefined ? undefined : record.ownerOf(text, key, now)

  return {
    read: (key) =>
      update("read", "token", key, (now, text) => {
        const value = found(text, key, now)
        // What has ended is not left lying about.
        return text !== undefined && record.hasEnded(text, now) ? { value, set: null } : { value }
      }),
    write: (key, row, { keepFor, replaces }) =>
      update("write", "token", key, (now, text) =>
        found(text, key, now)?.version === replaces
          ? { value: true, set: record.encodeRow(key, row, now, keepFor) }
          : { value: false }),
    remove: (key) => update("remove", "token", key, () => ({ value: undefined, set: null })),
    acquire: (key, owner, leaseFor) =>
      update("acquire", "lease", key, (now, text) =>
        (owning(text, key, now) ?? owner) === owner
          ? { value: true, set: record.encodeLease(key, owner, now, leaseFor) }
          : { value: false }),
    release: (key, owner) =>
      update("release", "lease", key, (now, text) => ({
        value: undefined,
        ...(owning(text, key, now) === owner ? { set: null } : {})
      }))
  }
}

/**
 * Keeps tokens in the `KeyValueStore` that it is given.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import * as KeyValueTokenStore from "@effect-dingtalk/auth/KeyValueTokenStore"
 * import { KeyValueStore } from "@effect/platform"
 * import { Layer } from "effect"
 *
 * const tokens = TokenService.layerConfig().pipe(
 *   Layer.provide(KeyValueTokenStore.layer()),
 *   Layer.provide(KeyValueStore.layerMemory) // or BrowserKeyValueStore.layerLocalStorage
 * )
 * console.log(Layer.isLayer(tokens)) // true
 * ```
 */
export const layer = (
  options: TokenStore.Options = {}
): Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError, KeyValueStore.KeyValueStore> =>
  Layer.effect(
    TokenStore.TokenStore,
    Effect.flatMap(KeyValueStore.KeyValueStore, (store) => TokenStore.make(backing(store), options))
  )
