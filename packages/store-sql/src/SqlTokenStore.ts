/**
 * A `TokenStore` in the database that you have: PostgreSQL, MySQL, MariaDB or SQLite, through `@effect/sql`.
 *
 * It makes one table of its own, decides every write in the database by one statement, and takes all times from the
 * database's clock. It never takes part in a transaction of yours: what you roll back takes no token with it.
 *
 * @since 0.1.0
 */
import { TokenCipher, TokenStore } from "@effect-dingtalk/auth"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Dialect from "./internal/dialect.js"
import { type Trouble, troubleOf } from "./internal/trouble.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends TokenStore.Options {
  /** `dingtalk_tokens` unless it says otherwise; `schema.table` too. Case counts where it does in the database. */
  readonly table?: string | undefined
}

const TABLE = "dingtalk_tokens"
// The name of the index is longer by 11, and PostgreSQL cuts a name after 63 without a word.
const TABLE_NAME = /^(?:[A-Za-z_][A-Za-z0-9_$-]{0,62}\.)?[A-Za-z_][A-Za-z0-9_$-]{0,47}$/

/** of this release's table; a later one that changes the table knows by it what to do */
const SCHEMA_VERSION = "1"

const LONGEST_KEY = 512
// 100 years: `now` and this are still an integer of JavaScript.
const LONGEST = 100 * 365 * 24 * 60 * 60 * 1000

const AT_ONCE = 4
const TRIES = 40
const OPEN_WITHIN = Duration.seconds(10)

const SWEEP_EVERY = 60_000
// What ended a moment ago is more likely to be overwritten than to be in the way.
const SWEEP_AFTER = 60_000
const SWEEP_LIMIT = 100

const millis = (duration: Duration.Duration): number =>
  Math.min(Math.max(Math.ceil(Duration.toMillis(duration)), 0), LONGEST)

// About a second in all. SQLite has one writer at a time and no queue: who waits ever longer never gets there.
const again = /*#__PURE__*/ Schedule.exponential("2 millis", 1.6).pipe(
  Schedule.union(Schedule.spaced("25 millis")),
  Schedule.jitteredWith({ min: 0.4, max: 1.6 }),
  Schedule.intersect(Schedule.recurs(TRIES - 1))
)

const opening = (description: string) => new TokenStore.TokenStoreError({ operation: "open", description })

/**
 * For a `TokenStore` of your own making; `make` and `layer` are over it. The table is made at once where the database
 * can be reached, or else when it is first needed. Fails only where nothing but a change helps, such as of the table's
 * name or of a permission.
 *
 * @since 0.1.0
 * @category constructors
 */
export const backing = (
  options: Options = {}
): Effect.Effect<TokenStore.Backing, TokenStore.TokenStoreError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const scope = yield* Effect.scope
    const table = options.table ?? TABLE
    if (!TABLE_NAME.test(table)) {
      return yield* opening(
        `table: ${JSON.stringify(table.slice(0, 130))} is not a name such as tokens or crm.tokens: ` +
          "letters, digits, _, $ and -, the table's at most 48"
      )
    }
    const dialect = Dialect.dialect(sql, table.split("."))
    if (dialect === undefined) return yield* opening("the database must be PostgreSQL, MySQL, MariaDB or SQLite")

    // A store that hangs must not have all connections of the application.
    const connections = yield* Effect.makeSemaphore(AT_ONCE)

    /** One statement of our own: in no transaction of the caller's, and shown to nobody. */
    const statement = <A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, Trouble> =>
      (dialect.isInterruptible ? effect : Effect.uninterruptible(effect)).pipe(
        connections.withPermits(1),
        Effect.mapError(troubleOf),
        Effect.retry({ schedule: again, while: ({ kind }) => kind === "Conflict" }),
        Statement.withTransformerDisabled,
        // The span of a statement that failed has what the driver said, and PostgreSQL quotes the row.
        Effect.withTracerEnabled(false),
        // Drivers keep the open transaction in the context, each under a tag of its own.
        Effect.locally(FiberRef.currentContext, Context.empty())
      )

    const open: Effect.Effect<void, Trouble> = Effect.gen(function*() {
      const find = statement(dialect.find("schema", "")).pipe(
        Effect.catchIf(({ kind }) => kind === "Absent", () => Effect.succeed([]))
      )
      let found = yield* find
      if (found.length === 0) {
        for (const each of dialect.create) yield* statement(each)
        const entry = { kind: "schema", name: "", version: SCHEMA_VERSION, body: "", lasts: LONGEST } as const
        yield* statement(dialect.put(entry, false))
        found = yield* find
      }
      const version = textOf(found[0], "version")
      if (version !== SCHEMA_VERSION) {
        return yield* Effect.fail<Trouble>({
          kind: "Failed",
          description: `the table ${table} is of another release (version ${version?.slice(0, 22) ?? "unknown"})`
        })
      }
    }).pipe(
      // Others make the same table at the same time, and PostgreSQL has an error for that.
      Effect.retry({ schedule: again, while: ({ kind }) => kind === "Exists" }),
      Effect.disconnect,
      Effect.timeoutFail({
        duration: OPEN_WITHIN,
        onTimeout: (): Trouble => ({ kind: "Failed", description: "no answer" })
      })
    )

    let isOpen = false
    let attempt: Fiber.Fiber<void, Trouble> | undefined
    // One attempt for all who wait, whoever of them is interrupted.
    const opened: Effect.Effect<void, Trouble> = Effect.uninterruptibleMask((restore) => {
      if (isOpen) return Effect.void
      if (attempt !== undefined) return restore(Fiber.join(attempt))
      return open.pipe(
        Effect.interruptible,
        Effect.onExit((exit) =>
          Effect.sync(() => {
            isOpen = exit._tag === "Success"
            attempt = undefined
          })
        ),
        Effect.forkIn(scope),
        Effect.flatMap((fiber) => {
          // It may have ended by now.
          if (fiber.unsafePoll() === null) attempt = fiber
          return restore(Fiber.join(fiber))
        })
      )
    })

    let sweptAt = -Infinity
    const sweep = Effect.clockWith((clock) => {
      const now = clock.unsafeCurrentTimeMillis()
      if (now >= sweptAt && now - sweptAt < SWEEP_EVERY) return Effect.void
      sweptAt = now
      return statement(dialect.sweep(SWEEP_AFTER, SWEEP_LIMIT)).pipe(
        // There may be more: the next write goes on.
        Effect.map((count) => {
          if (count >= SWEEP_LIMIT) sweptAt = -Infinity
        }),
        Effect.ignore,
        Effect.interruptible,
        Effect.forkIn(scope),
        Effect.asVoid
      )
    })

    const run = <A>(
      operation: TokenStore.TokenStoreError["operation"],
      key: string,
      effect: Effect.Effect<A, SqlError>
    ): Effect.Effect<A, TokenStore.TokenStoreError> => {
      if (key.length > LONGEST_KEY) {
        const description = `this key has ${key.length} characters, and may have ${LONGEST_KEY}`
        return Effect.fail(new TokenStore.TokenStoreError({ operation, description }))
      }
      const once = Effect.zipRight(opened, statement(effect))
      return once.pipe(
        // Somebody dropped the table, or put another database in its place: nothing was written.
        Effect.catchIf(({ kind }) => kind === "Absent", () => {
          isOpen = false
          return once
        }),
        Effect.mapError(({ description }) => new TokenStore.TokenStoreError({ operation, description }))
      )
    }

    const sweeping = (isDone: boolean) => isDone ? Effect.as(sweep, true) : Effect.succeed(false)

    yield* opened.pipe(
      Effect.disconnect,
      Effect.timeoutFail({
        duration: options.timeout ?? "1 second",
        onTimeout: (): Trouble => ({ kind: "Failed", description: "no answer" })
      }),
      Effect.catchAll(({ description, kind }) =>
        kind === "Final" ? opening(`table: ${table}: ${description}`) : Effect.annotateLogs(
          Effect.logWarning("DingTalk token store cannot be opened yet; tokens are kept in memory meanwhile"),
          { table, cause: description }
        )
      )
    )

    return {
      read: (key) =>
        Effect.map(run("read", key, dialect.find("token", key)), ([row]) => {
          const version = textOf(row, "version")
          const text = textOf(row, "body")
          return version === undefined || text === undefined ? undefined : { text, version }
        }),
      write: (key, { text, version }, { keepFor, replaces }) => {
        const entry = { kind: "token", name: key, version, body: text, lasts: millis(keepFor) } as const
        return Effect.flatMap(
          run("write", key, replaces === undefined ? dialect.put(entry, false) : dialect.swap(entry, replaces)),
          sweeping
        )
      },
      remove: (key) => Effect.asVoid(run("remove", key, dialect.remove("token", key))),
      acquire: (key, owner, leaseFor) => {
        const entry = { kind: "lease", name: key, version: owner, body: "", lasts: millis(leaseFor) } as const
        return Effect.flatMap(run("acquire", key, dialect.put(entry, true)), sweeping)
      },
      release: (key, owner) => Effect.asVoid(run("release", key, dialect.remove("lease", key, owner)))
    }
  })

const textOf = (row: unknown, column: string): string | undefined => {
  const value = Predicate.isRecord(row) ? row[column] : undefined
  return typeof value === "string" ? value : undefined
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<TokenStore.Service, TokenStore.TokenStoreError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.flatMap(backing(options), (backing) => TokenStore.make(backing, options))

/**
 * In the database of the `SqlClient` that is given. While the database is down the store is down, and tokens live in
 * memory; the Layer is built all the same.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { SqlTokenStore } from "@effect-dingtalk/store-sql"
 * import { PgClient } from "@effect/sql-pg"
 * import { Layer, Redacted } from "effect"
 *
 * const database = PgClient.layer({ url: Redacted.make("postgres://crm@db.internal/crm") })
 * const tokens = TokenService.layerConfig().pipe(
 *   Layer.provide(SqlTokenStore.layer({ table: "crm.dingtalk_tokens" })),
 *   Layer.provide(database)
 * )
 * console.log(Layer.isLayer(tokens)) // true
 * ```
 */
export const layer = (
  options: Options = {}
): Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError, SqlClient.SqlClient> =>
  Layer.scoped(TokenStore.TokenStore, make(options))

/**
 * Options out of `Config`; what is left out comes from the environment.
 *
 * @since 0.1.0
 * @category models
 */
export type Settings = { readonly [K in keyof Options]?: Config.Config.Wrap<Options[K]> }

const fromSettings = (config: Settings): Config.Config<Options> =>
  Config.unwrap(
    {
      table: Config.withDefault(Config.string("DINGTALK_TOKEN_STORE_TABLE"), TABLE),
      encryption: Config.withDefault(TokenCipher.config(), undefined),
      ...config
    } as Config.Config.Wrap<Options>
  )

/**
 * From `DINGTALK_TOKEN_STORE_KEYS`, without which tokens are stored in clear, and `DINGTALK_TOKEN_STORE_TABLE`, but
 * for what you give.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenCipher } from "@effect-dingtalk/auth"
 * import { SqlTokenStore } from "@effect-dingtalk/store-sql"
 * import { Config, Layer } from "effect"
 *
 * const byDefault = SqlTokenStore.layerConfig()
 * const ours = SqlTokenStore.layerConfig({
 *   table: Config.succeed("crm.dingtalk_tokens"),
 *   // must be there
 *   encryption: TokenCipher.config("CRM_TOKEN_KEYS")
 * })
 * console.log(Layer.isLayer(byDefault), Layer.isLayer(ours)) // true true
 * ```
 */
export const layerConfig = (
  config: Settings = {}
): Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError | ConfigError, SqlClient.SqlClient> =>
  Layer.scoped(TokenStore.TokenStore, Effect.flatMap(fromSettings(config), make))
