/**
 * Where tokens are kept so that processes share them and a restart finds them again: in memory, in a file, in SQL, in
 * Redis.
 *
 * A store is never in the way of a call: what it cannot do in time costs a warning, a metric and at worst one fetch
 * more. `@effect-dingtalk/store-sql` and `@effect-dingtalk/store-redis` have the databases; a store of your own is a
 * `Backing` of five operations.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import * as Schema from "effect/Schema"
import * as Turns from "./internal/turns.js"
import * as TokenCipher from "./TokenCipher.js"

/**
 * A store did not do what it was asked. It holds neither a token nor what the driver said of its parameters.
 *
 * @since 0.1.0
 * @category errors
 */
export class TokenStoreError extends Schema.TaggedError<TokenStoreError>("@effect-dingtalk/auth/TokenStoreError")(
  "TokenStoreError",
  {
    operation: Schema.Literal("open", "read", "write", "remove", "acquire", "release"),
    /** what happened, without parameters: these are tokens */
    description: Schema.String
  }
) {
  override get message(): string {
    return `token store, ${this.operation}: ${this.description}`
  }
}

/**
 * What a token is of: the host it is good for, the app, its kind, and the organisation or person. Two that differ in any
 * of these never meet.
 *
 * @since 0.1.0
 * @category models
 */
export interface Key {
  /** such as `https://api.dingtalk.com` */
  readonly host: string
  readonly clientId: string
  /** such as `app`, `user`, `suiteTicket` */
  readonly kind: string
  /** a `corpId`, or what names a session; not a secret, for listings show it */
  readonly subject?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface StoredToken extends Schema.Schema.Type<typeof StoredToken> {}

/**
 * What is kept of a token. Encoding writes the secrets in clear: `make` does it, under the encryption that it is given.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StoredToken = Schema.Struct({
  value: Schema.Redacted(Schema.String),
  /** milliseconds since the epoch, by the clock of who asked, before the request was sent */
  issuedAt: Schema.Number,
  /** milliseconds since the epoch */
  expiresAt: Schema.Number,
  refreshToken: Schema.optional(Schema.Redacted(Schema.String)),
  corpId: Schema.optional(Schema.String),
  /** since when somebody has been exchanging the refresh token, which is good for one use */
  spendingSince: Schema.optional(Schema.Number),
  /** when the person was signed out: who still holds the session learns it from here */
  endedAt: Schema.optional(Schema.Number)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Found {
  /** `undefined` where there is none, or none that can be read */
  readonly token: StoredToken | undefined
  /** what a write has to name in order to replace it; `undefined` where there is nothing */
  readonly version: string | undefined
  /** it is encrypted with a key that is not given here: others may be able to read it */
  readonly isSealed?: boolean | undefined
}

/**
 * The right to fetch a token for all, for a short while: its holder renews it, and if its holder dies it ends by itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lease {
  /** `false`: it was lost */
  readonly renew: Effect.Effect<boolean, TokenStoreError>
  readonly release: Effect.Effect<void, TokenStoreError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly read: (key: Key) => Effect.Effect<Found, TokenStoreError>
  /**
   * Replaces the version that is named, or nothing where none is: an older result never overwrites a newer one. Gives
   * the new version, or `undefined` where somebody else was first.
   */
  readonly write: (
    key: Key,
    token: StoredToken,
    options: {
      readonly replaces: string | undefined
      /** how long it is of use; to the token's end unless it says otherwise */
      readonly keepFor?: Duration.Duration | undefined
    }
  ) => Effect.Effect<string | undefined, TokenStoreError>
  readonly remove: (key: Key) => Effect.Effect<void, TokenStoreError>
  /** `undefined` where somebody else has it */
  readonly lease: (key: Key) => Effect.Effect<Lease | undefined, TokenStoreError>
  /** how long a lease lasts that nobody renews */
  readonly leaseFor: Duration.Duration
}

/**
 * @since 0.1.0
 * @category tags
 */
export class TokenStore extends Context.Tag("@effect-dingtalk/auth/TokenStore")<TokenStore, Service>() {}

/**
 * A text and what names this state of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Row {
  readonly text: string
  readonly version: string
}

/**
 * What a store of your own has to do; `make` does the rest. Keys are ASCII, at most 512 characters, and differ in case;
 * versions are ASCII, 22 characters; texts are ASCII, some hundred characters, seldom thousands. Times are the store's
 * own, so that clocks which differ do no harm. A row that cannot be understood counts as none. No error may hold a text.
 *
 * @since 0.1.0
 * @category models
 */
export interface Backing {
  readonly read: (key: string) => Effect.Effect<Row | undefined, TokenStoreError>
  /**
   * Compare and set in one step, decided in the store: writes only where the version is `replaces`, or where there is no
   * row and `replaces` is `undefined`. Says whether it did. After `keepFor` the row is gone.
   */
  readonly write: (key: string, row: Row, options: {
    readonly replaces: string | undefined
    readonly keepFor: Duration.Duration
  }) => Effect.Effect<boolean, TokenStoreError>
  readonly remove: (key: string) => Effect.Effect<void, TokenStoreError>
  /** takes the lease of this key, or renews it for its owner; `false` where another owner's has not ended */
  readonly acquire: (key: string, owner: string, leaseFor: Duration.Duration) => Effect.Effect<boolean, TokenStoreError>
  /** ends the lease, where it is still this owner's */
  readonly release: (key: string, owner: string) => Effect.Effect<void, TokenStoreError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** with it, no store ever holds a readable token */
  readonly encryption?: TokenCipher.Options | undefined
  /** the longest that one operation may take, once it has its turn; 1 second unless it says otherwise */
  readonly timeout?: Duration.DurationInput | undefined
  /** for how long a store that failed is not asked again; 5 seconds unless it says otherwise */
  readonly coolDown?: Duration.DurationInput | undefined
  /**
   * how long after its holder's death the right to fetch passes on; 3 seconds unless it says otherwise. A living holder
   * renews it three times as often.
   */
  readonly leaseFor?: Duration.DurationInput | undefined
}

// Injective: two keys that differ stay different, whatever is in them.
const escape = (part: string): string =>
  part.replace(/[^A-Za-z0-9._:-]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

// `=` is in no escaped part: a host without `https://` is not taken for the one with it.
const hostOf = (host: string): string => host.startsWith("https://") ? escape(host.slice(8)) : `=${escape(host)}`

/**
 * The name of a key, in ASCII: `host/clientId/kind/subject`.
 *
 * @since 0.1.0
 * @category getters
 * @example
 * ```ts
 * import { TokenStore } from "@effect-dingtalk/auth"
 *
 * const key = { host: "https://api.dingtalk.com", clientId: "dingquickstart", kind: "app" }
 * console.log(TokenStore.nameOf(key)) // api.dingtalk.com/dingquickstart/app/
 * ```
 */
export const nameOf = (key: Key): string =>
  [hostOf(key.host), escape(key.clientId), escape(key.kind), escape(key.subject ?? "")].join("/")

const LONGEST_NAME = 512

// A thousand sessions that are refreshed at once are no reason to give a store up that answers each within its time.
const AT_ONCE = 32

const FAILURES = /*#__PURE__*/ MetricKey.counter("dingtalk.client.token.store.failures", {
  description: "operations of the token store that did not end well, by operation",
  incremental: true
})
const UNREADABLE = /*#__PURE__*/ Metric.fromMetricKey(
  /*#__PURE__*/ MetricKey.counter("dingtalk.client.token.store.unreadable", {
    description: "records of the token store that could not be read and were taken for none",
    incremental: true
  })
)

const countFailure = (operation: string): void =>
  Metric.fromMetricKey(MetricKey.taggedWithLabels(FAILURES, [MetricLabel.make("operation", operation)]))
    .unsafeUpdate(1, [])

const codec = Schema.parseJson(StoredToken)

/** In ASCII, as stores are promised. */
const encode = (token: StoredToken): string =>
  Schema.encodeSync(codec)(token)
    .replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

declare const crypto: { readonly getRandomValues: <A extends Uint8Array>(bytes: A) => A }
declare const btoa: (text: string) => string

/** 128 random bits: a version never comes again, so a row that was removed meanwhile is not taken for another. */
const random = Effect.sync(() =>
  btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))
    .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")
)

const NOTHING: Found = { token: undefined, version: undefined }

// A driver has the last word on what a backing gives, whatever its type says.
const isRow = (row: unknown): row is Row => {
  const { text, version } = (row ?? {}) as Record<string, unknown>
  return typeof text === "string" && typeof version === "string"
}

/**
 * A store over what can read, compare and set: adds encryption, bounds every operation in time, leaves a store alone
 * for a while after it failed, and takes what it cannot read for absent.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (backing: Backing, options: Options = {}): Effect.Effect<Service, TokenStoreError> =>
  Effect.gen(function*() {
    const cipher = options.encryption === undefined ? undefined : yield* Effect.mapError(
      TokenCipher.make(options.encryption),
      (error) => new TokenStoreError({ operation: "open", description: error.message })
    )
    const timeout = Duration.decode(options.timeout ?? "1 second")
    const coolDown = Duration.toMillis(options.coolDown ?? "5 seconds")
    const leaseFor = Duration.decode(options.leaseFor ?? "3 seconds")
    const turn = Turns.make(AT_ONCE)
    let failedAt = -Infinity
    let isOut = false

    const bounded = <A>(
      operation: TokenStoreError["operation"],
      key: Key,
      effect: (name: string) => Effect.Effect<A, TokenStoreError>
    ): Effect.Effect<A, TokenStoreError> =>
      turn(Effect.clockWith((clock) => {
        const name = nameOf(key)
        if (name.length > LONGEST_NAME) {
          const description = `the name of this key has ${name.length} characters, and may have ${LONGEST_NAME}`
          return Effect.fail(new TokenStoreError({ operation, description }))
        }
        const elapsed = clock.unsafeCurrentTimeMillis() - failedAt
        // A clock that was set back makes no failure last longer.
        if (elapsed >= 0 && elapsed < coolDown) {
          const description = "not asked, for it failed a moment ago"
          return Effect.fail(new TokenStoreError({ operation, description }))
        }
        const failedBefore = failedAt
        return Effect.suspend(() => effect(name)).pipe(
          Effect.sandbox,
          // What else a driver throws may show what it was given.
          Effect.mapError((cause) =>
            cause._tag === "Fail" && cause.error instanceof TokenStoreError
              ? cause.error
              : new TokenStoreError({ operation, description: "the store broke" })
          ),
          // A driver that does not let itself be interrupted is not waited for either.
          Effect.disconnect,
          Effect.interruptible,
          Effect.timeoutFail({
            duration: timeout,
            onTimeout: () =>
              new TokenStoreError({ operation, description: `no answer within ${Duration.format(timeout)}` })
          }),
          // One that was under way already says nothing of a failure since.
          Effect.tap(() => Effect.sync(() => void (isOut = isOut && failedAt !== failedBefore))),
          Effect.tapError((error) => {
            countFailure(operation)
            const isNew = !isOut
            isOut = true
            failedAt = clock.unsafeCurrentTimeMillis()
            return isNew
              ? Effect.logWarning("DingTalk token store failed; tokens are kept in memory meanwhile").pipe(
                Effect.annotateLogs({ operation, cause: error.description })
              )
              : Effect.void
          })
        )
      }))

    const unreadable = (name: string, why: string) => {
      UNREADABLE.unsafeUpdate(1, [])
      return Effect.as(
        Effect.annotateLogs(
          Effect.logWarning("DingTalk token store: a record cannot be read and is taken for none"),
          { key: name, cause: why }
        ),
        undefined
      )
    }

    const legible = (name: string, { text, version }: Row): Effect.Effect<Found> => {
      const none = (why: string, isSealed: boolean): Effect.Effect<Found> =>
        Effect.as(unreadable(name, why), { token: undefined, version, ...(isSealed ? { isSealed } : undefined) })
      return Effect.flatMap(
        cipher === undefined ? Effect.succeed(Either.right(text)) : Effect.either(cipher.open(text, name)),
        (text) => {
          if (Either.isLeft(text)) return none(text.left.message, text.left.unknownKey !== undefined)
          if (cipher === undefined && TokenCipher.isSealed(text.right)) {
            return none("it is encrypted, and no key is given", true)
          }
          const token = Schema.decodeUnknownEither(codec)(text.right)
          // The usual message would show what was read.
          return Either.isRight(token)
            ? Effect.succeed({ token: token.right, version })
            : none("it is not the record of a token", false)
        }
      )
    }

    return {
      leaseFor,
      read: (key) =>
        Effect.flatMap(bounded("read", key, backing.read), (row): Effect.Effect<Found> =>
          row === undefined
            ? Effect.succeed(NOTHING)
            : isRow(row)
            ? legible(nameOf(key), row)
            : Effect.as(unreadable(nameOf(key), "the store did not answer with a row"), NOTHING)),
      write: (key, token, { keepFor, replaces }) =>
        Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const left = keepFor === undefined ? Math.max(token.expiresAt - now, 1000) : Duration.toMillis(keepFor)
          const version = yield* random
          const clear = encode(token)
          const written = yield* bounded("write", key, (name) =>
            Effect.flatMap(
              cipher === undefined ? Effect.succeed(clear) : cipher.seal(clear, name),
              (text) => backing.write(name, { text, version }, { replaces, keepFor: Duration.millis(left) })
            ))
          return written === true ? version : undefined
        }),
      remove: (key) => bounded("remove", key, backing.remove),
      lease: (key) =>
        Effect.flatMap(random, (owner) => {
          const acquire = bounded("acquire", key, (name) => backing.acquire(name, owner, leaseFor))
          const release = bounded("release", key, (name) => backing.release(name, owner))
          return Effect.map(acquire, (isOurs) => isOurs === true ? { renew: acquire, release } : undefined)
        })
    }
  })

interface Kept {
  readonly row: Row
  readonly until: number
}

/**
 * What `layerMemory` stands on: also the model of what a `Backing` has to do.
 *
 * @since 0.1.0
 * @category constructors
 */
export const backingMemory: Effect.Effect<Backing> = /*#__PURE__*/ Effect.sync(() => {
  const rows = new Map<string, Kept>()
  const leases = new Map<string, { readonly owner: string; readonly until: number }>()
  const alive = (key: string, now: number): Row | undefined => {
    const kept = rows.get(key)
    if (kept !== undefined && now < kept.until) return kept.row
    rows.delete(key)
    return undefined
  }
  return {
    read: (key) => Effect.map(Clock.currentTimeMillis, (now) => alive(key, now)),
    write: (key, row, { keepFor, replaces }) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (alive(key, now)?.version !== replaces) return false
        rows.set(key, { row, until: now + Duration.toMillis(keepFor) })
        return true
      }),
    remove: (key) => Effect.sync(() => void rows.delete(key)),
    acquire: (key, owner, leaseFor) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const lease = leases.get(key)
        if (lease !== undefined && lease.owner !== owner && now < lease.until) return false
        leases.set(key, { owner, until: now + Duration.toMillis(leaseFor) })
        return true
      }),
    release: (key, owner) =>
      Effect.sync(() => {
        if (leases.get(key)?.owner === owner) leases.delete(key)
      })
  }
})

/**
 * In memory: shared by what is built on this Layer, and gone with the process.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService, TokenStore } from "@effect-dingtalk/auth"
 * import { Layer } from "effect"
 *
 * // with a store of a database instead, all processes share one token
 * const tokens = TokenService.layerConfig().pipe(Layer.provide(TokenStore.layerMemory()))
 * console.log(Layer.isLayer(tokens)) // true
 * ```
 */
export const layerMemory = (options: Options = {}): Layer.Layer<TokenStore, TokenStoreError> =>
  Layer.effect(TokenStore, Effect.flatMap(backingMemory, (backing) => make(backing, options)))

/**
 * A store that fails whatever it is asked, for tests: tokens must do without.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTestFailing: Layer.Layer<TokenStore> = /*#__PURE__*/ Layer.sync(TokenStore, () => {
  const fail = (operation: TokenStoreError["operation"]) => () =>
    Effect.fail(new TokenStoreError({ operation, description: "a store that always fails" }))
  return {
    read: fail("read"),
    write: fail("write"),
    remove: fail("remove"),
    lease: fail("acquire"),
    leaseFor: Duration.seconds(3)
  }
})
