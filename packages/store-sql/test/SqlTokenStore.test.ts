import { TokenStore } from "@effect-dingtalk/auth"
import { SqlTokenStore } from "@effect-dingtalk/store-sql"
import { SqlClient, SqlError, Statement } from "@effect/sql"
import { MysqlClient } from "@effect/sql-mysql2"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Config,
  ConfigProvider,
  Context,
  Duration,
  Effect,
  Either,
  Encoding,
  Exit,
  Fiber,
  Layer,
  Option,
  Redacted,
  Schedule,
  Tracer
} from "effect"
import { inspect } from "node:util"
import { asOwner, type Database, forEachDatabase, only, open } from "./databases.js"

const LONG = Duration.hours(2)
const PATIENT = { timeout: "20 seconds", coolDown: 0 } as const
const KEY: TokenStore.Key = { host: "https://api.dingtalk.com", clientId: "dingquickstart", kind: "app" }
const NAME = TokenStore.nameOf(KEY)

const token = (value: string): TokenStore.StoredToken => ({
  value: Redacted.make(value),
  issuedAt: 0,
  expiresAt: Number.MAX_SAFE_INTEGER
})

let versions = 0
const row = (text = "text"): TokenStore.Row => ({ text, version: `version-${++versions}` })
const unused = () => `unused-${++versions}`

const write = (store: TokenStore.Backing, key: string, row: TokenStore.Row, replaces?: string, keepFor = LONG) =>
  store.write(key, row, { replaces, keepFor })

/** A pool that the application and the store share. */
const shared = (database: Database, options: SqlTokenStore.Options, connections = 6) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(database.connect(connections))
    const sql = Context.get(context, SqlClient.SqlClient)
    return { sql, store: yield* Effect.provide(SqlTokenStore.backing(options), context) }
  })

const ended = <A, E>(exit: Exit.Exit<A, E>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const opens = (database: Database, options: SqlTokenStore.Options) =>
  Effect.map(
    Effect.exit(Effect.scoped(Layer.build(Layer.provide(SqlTokenStore.layer(options), database.connect(1))))),
    ended
  )

await forEachDatabase((database) => {
  const ask = <A>(f: (sql: SqlClient.SqlClient) => Effect.Effect<A, SqlError.SqlError>) => asOwner(database.connect, f)
  const here = database.dialect === "sqlite" ? "main" : database.place

  describe(`the table on ${database.name}`, () => {
    it.scopedLive("a name that is none is an error at once, which names the field", () =>
      Effect.gen(function*() {
        const bad = ["", "a b", "a;b", "a\"b", "a`b", "1a", "a.b.c", ".a", "a.", "a\n", "é", "a".repeat(49), "a\0"]
        for (const table of bad) {
          const error = yield* opens(database, { table })
          assert.instanceOf(error, TokenStore.TokenStoreError, table)
          assert.strictEqual(error.operation, "open")
          assert.match(error.description, /^table: /)
        }
      }))

    it.scopedLive("a schema that is not there is an error at once too", () =>
      Effect.gen(function*() {
        const error = yield* opens(database, { table: "no_such_place.tokens", ...PATIENT })
        assert.instanceOf(error, TokenStore.TokenStoreError)
        assert.match(error.description, /^table: no_such_place\.tokens: there is no such (?:schema|database)/)
      }))

    it.scopedLive("and so is a table of another shape, which is left as it is", () =>
      Effect.gen(function*() {
        yield* ask((sql) => sql`CREATE TABLE foreign_one (id INT, version INT)`)
        yield* ask((sql) => sql`INSERT INTO foreign_one VALUES (1, 1)`)
        const error = yield* opens(database, { table: "foreign_one", ...PATIENT })
        assert.instanceOf(error, TokenStore.TokenStoreError)
        assert.include(error.description, "not a token store's")
        assert.strictEqual((yield* ask((sql) => sql`SELECT id, version FROM foreign_one`)).length, 1)
      }))

    for (const table of ["Case_$-x", "a".repeat(48), `${here}.qualified`, "select"]) {
      it.scopedLive(`${table.replace(here, "place")} is a name`, () =>
        Effect.gen(function*() {
          const [one, other] = yield* Effect.all([open(database, { table }), open(database, { table })])
          const written = row()
          assert.isTrue(yield* write(one, NAME, written))
          assert.deepStrictEqual(yield* other.read(NAME), written)
        }))
    }

    it.scopedLive("records its version; over that of another release the store is down, and up again after", () =>
      Effect.gen(function*() {
        const options = { table: "versioned", ...PATIENT }
        yield* open(database, options)
        const version = ask((sql) => sql<{ version: string }>`SELECT version FROM versioned WHERE kind = 'schema'`)
        assert.deepStrictEqual((yield* version).map(({ version }) => version), ["1"])
        yield* ask((sql) => sql`UPDATE versioned SET version = '2' WHERE kind = 'schema'`)
        const store = yield* open(database, options)
        const error = yield* Effect.flip(store.read(NAME))
        assert.include(error.description, "of another release (version 2)")
        yield* ask((sql) => sql`UPDATE versioned SET version = '1' WHERE kind = 'schema'`)
        assert.isUndefined(yield* store.read(NAME))
      }))

    it.scopedLive("that somebody drops is made again", () =>
      Effect.gen(function*() {
        const store = yield* open(database, { table: "dropped", ...PATIENT })
        assert.isTrue(yield* write(store, NAME, row()))
        yield* ask((sql) => sql`DROP TABLE dropped`)
        const written = row()
        assert.isTrue(yield* write(store, NAME, written))
        assert.deepStrictEqual(yield* store.read(NAME), written)
        yield* ask((sql) => sql`DROP TABLE dropped`)
        assert.isUndefined(yield* store.read(NAME))
      }))

    it.scopedLive("50 fibers open it at once", () =>
      Effect.gen(function*() {
        const context = yield* Layer.build(database.connect(6))
        const table = "fibers"
        const stores = yield* Effect.all(
          Array.from({ length: 50 }, () => Effect.provide(SqlTokenStore.backing({ table, ...PATIENT }), context)),
          { concurrency: "unbounded" }
        )
        const written = yield* Effect.forEach(stores, (store) => write(store, NAME, row()), {
          concurrency: "unbounded"
        })
        assert.strictEqual(written.filter(Boolean).length, 1)
      }))
  })

  describe(`rows on ${database.name}`, () => {
    it.scopedLive("edited by hand to what cannot be are none, and are overwritten", () =>
      Effect.gen(function*() {
        const table = "edited"
        const store = yield* open(database, { table, ...PATIENT })
        // Nothing keeps an owner from this either.
        if (database.dialect === "pg") {
          yield* ask((sql) =>
            sql`ALTER TABLE edited ALTER version DROP NOT NULL, ALTER body DROP NOT NULL, ALTER expires_at DROP NOT NULL`
          )
        } else if (database.dialect === "mysql") {
          yield* ask((sql) =>
            sql`ALTER TABLE edited MODIFY version VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
              MODIFY body MEDIUMTEXT NULL, MODIFY expires_at BIGINT NULL`
          )
        } else {
          yield* ask((sql) => sql`ALTER TABLE edited RENAME TO edited_before`)
          yield* ask((sql) =>
            sql`CREATE TABLE edited (kind, name, version, body, expires_at, PRIMARY KEY (kind, name))`
          )
          yield* ask((sql) => sql`INSERT INTO edited SELECT * FROM edited_before`)
        }
        const damages = ["version = NULL", "body = NULL", "expires_at = NULL", "expires_at = -1"]
        if (database.dialect === "sqlite") damages.push("expires_at = 'soon'", "body = x'00ff'", "version = 7")
        for (const damage of damages) {
          const edited = unused()
          assert.isTrue(yield* write(store, edited, row()))
          yield* ask((sql) => sql`UPDATE edited SET ${sql.literal(damage)} WHERE name = ${edited}`)
          assert.isUndefined(yield* store.read(edited), damage)
          const written = row()
          assert.isTrue(yield* write(store, edited, written), damage)
          assert.deepStrictEqual(yield* store.read(edited), written)
          const key = unused()
          assert.isTrue(yield* store.acquire(key, "a", LONG))
          yield* ask((sql) => sql`UPDATE edited SET ${sql.literal(damage)} WHERE name = ${key}`)
          assert.isTrue(yield* store.acquire(key, "b", LONG), damage)
          assert.isFalse(yield* store.acquire(key, "c", LONG), damage)
        }
        // A version that no store of ours writes is still one that can be named.
        for (const version of ["", " ", "not ours"]) {
          const key = unused()
          yield* write(store, key, row())
          yield* ask((sql) => sql`UPDATE edited SET version = ${version} WHERE name = ${key}`)
          assert.strictEqual((yield* store.read(key))?.version, version)
          assert.isFalse(yield* write(store, key, row()))
          assert.isTrue(yield* write(store, key, row(), version))
        }
      }))

    it.scopedLive("that ended are swept away at times, a few at once, and nothing else is", () =>
      Effect.gen(function*() {
        const store = yield* open(database, { table: "swept", ...PATIENT })
        const count = (where: string) =>
          Effect.map(
            ask((sql) => sql<{ n: unknown }>`SELECT COUNT(*) AS n FROM swept WHERE ${sql.literal(where)}`),
            ([row]) => Number(row!.n)
          )
        const kept = row()
        yield* write(store, "kept", kept)
        // Its sweep, which finds nothing, goes on beside.
        yield* Effect.sleep("200 millis")
        const dead = Array.from({ length: 250 }, (_, i) => ({
          kind: i % 2 === 0 ? "token" : "lease",
          name: `dead-${i}`,
          version: "v",
          body: "",
          expires_at: 1000 + i
        }))
        yield* ask((sql) => sql`INSERT INTO swept ${sql.insert(dead)}`)
        assert.isTrue(yield* store.acquire("held", "a", LONG))
        assert.strictEqual(yield* count("name LIKE 'dead-%'"), 250, "at most once a minute")
        // Another process, which has not swept yet.
        const other = yield* open(database, { table: "swept", ...PATIENT })
        const counts: Array<number> = []
        for (let i = 0; i < 4; i++) {
          const before = yield* count("name LIKE 'dead-%'")
          counts.push(before)
          assert.isTrue(yield* write(other, unused(), row()))
          yield* count("name LIKE 'dead-%'").pipe(
            Effect.repeat({ while: (n) => n === before && before > 0, schedule: Schedule.spaced("20 millis") }),
            Effect.timeout("5 seconds")
          )
          // What it found is known to it a little later.
          yield* Effect.sleep("50 millis")
        }
        assert.deepStrictEqual(counts, [250, 150, 50, 0])
        assert.deepStrictEqual(yield* store.read("kept"), kept)
        assert.isFalse(yield* store.acquire("held", "b", LONG))
        assert.strictEqual(yield* count("kind = 'schema'"), 1)
      }))

    it.scopedLive("a key of more than 512 characters is refused before it could be cut", () =>
      Effect.gen(function*() {
        const store = yield* open(database, PATIENT)
        const error = yield* Effect.flip(write(store, "k".repeat(513), row("sentinel-long")))
        assert.include(error.message, "513 characters")
        assert.notInclude(inspect(error), "sentinel")
      }))
  })

  describe(`secrets on ${database.name}`, () => {
    it.scopedLive("neither errors nor spans show a text, even where the database quotes the row", () =>
      Effect.gen(function*() {
        const context = yield* Layer.build(database.connect(2))
        const provided = Effect.provide(SqlTokenStore.backing({ table: "checked", ...PATIENT }), context)
        const spans: Array<Tracer.Span> = []
        const tracer = Tracer.make({
          context: (f) => f(),
          span: (...args) => {
            const span = (Effect.runSync(Effect.tracer) as Tracer.Tracer).span(...args)
            spans.push(span)
            return span
          }
        })
        const failed = yield* Effect.gen(function*() {
          const store = yield* provided
          assert.isTrue(yield* write(store, NAME, row("sentinel-good")))
          yield* store.read(NAME)
          if (database.dialect === "sqlite") {
            yield* ask((sql) =>
              sql`CREATE TRIGGER checks BEFORE INSERT ON checked WHEN NEW.body LIKE '%bad%' BEGIN SELECT RAISE(ABORT, 'bad'); END`
            )
          } else {
            yield* ask((sql) => sql`ALTER TABLE checked ADD CONSTRAINT checks CHECK (body NOT LIKE '%bad%')`)
          }
          return yield* Effect.exit(write(store, unused(), row("sentinel-bad")))
        }).pipe(Effect.withSpan("around"), Effect.withTracer(tracer))
        // INSERT IGNORE takes a broken rule for a row that is there.
        if (database.dialect !== "mysql") assert.instanceOf(ended(failed), TokenStore.TokenStoreError)
        assert.isAbove(spans.length, 0)
        const seen = [failed, ...spans.flatMap((span) => [span.attributes, span.status, span])]
          .map((value) =>
            inspect(value, { depth: 12 }) + JSON.stringify(value, (_, v) => typeof v === "bigint" ? 0 : v)
          )
          .join("\n")
        assert.notInclude(seen, "sentinel")
        assert.notInclude(seen, "expires_at")
      }))

    it.scopedLive("with a key in the environment, nobody reads the table; without, it is in clear", () =>
      Effect.gen(function*() {
        const secret = Encoding.encodeBase64(crypto.getRandomValues(new Uint8Array(32)))
        const write = (table: string, settings: ReadonlyArray<readonly [string, string]>) =>
          Effect.gen(function*() {
            const store = yield* TokenStore.TokenStore
            assert.isString(yield* store.write(KEY, token("sentinel-value"), { replaces: undefined }))
            const found = yield* store.read(KEY)
            assert.strictEqual(Redacted.value(found.token!.value), "sentinel-value")
            const rows = yield* ask((sql) => sql<{ body: string }>`SELECT body FROM ${sql(table)}`)
            return rows.map(({ body }) => body).join()
          }).pipe(
            Effect.provide(Layer.provide(
              // One setting that is given leaves the others to the environment.
              table === "given"
                ? SqlTokenStore.layerConfig({ table: Config.succeed(table) })
                : SqlTokenStore.layerConfig(),
              database.connect(2)
            )),
            Effect.withConfigProvider(
              ConfigProvider.fromMap(new Map([["DINGTALK_TOKEN_STORE_TABLE", table], ...settings]))
            )
          )
        const sealed = yield* write("sealed", [["DINGTALK_TOKEN_STORE_KEYS", `2026-11:${secret}`]])
        assert.include(sealed, "aes256gcm.2026-11.")
        assert.notInclude(sealed, "sentinel")
        const given = yield* write("given", [["DINGTALK_TOKEN_STORE_KEYS", `2026-11:${secret}`]])
        assert.include(given, "aes256gcm.2026-11.")
        assert.include(yield* write("clear", []), "sentinel-value")
        const wrong = yield* Effect.exit(write("wrong", [["DINGTALK_TOKEN_STORE_KEYS", "2026-11:c2VudGluZWw="]]))
        assert.include(inspect(ended(wrong)), "InvalidData")
        assert.notInclude(inspect(wrong, { depth: 12 }), "c2VudGluZWw")
      }))
  })

  describe(`a transaction of the caller on ${database.name}`, () => {
    if (database.dialect === "sqlite") {
      it.scopedLive("has the only writer: the store waits for it, no longer than its time, and does it no harm", () =>
        Effect.gen(function*() {
          const { sql, store: backing } = yield* shared(database, { table: "waits", ...PATIENT })
          yield* sql`CREATE TABLE orders (id INT)`
          const store = yield* TokenStore.make(backing, { timeout: "300 millis", coolDown: 0 })
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* sql`INSERT INTO orders VALUES (1)`
            const error = yield* Effect.flip(store.write(KEY, token("one"), { replaces: undefined }))
            assert.include(error.message, "no answer within")
            yield* sql`INSERT INTO orders VALUES (2)`
          }))
          assert.strictEqual((yield* sql`SELECT id FROM orders`).length, 2)
          assert.isString(yield* store.write(KEY, token("two"), { replaces: undefined }))
        }))
      return
    }

    it.scopedLive("that rolls back takes no token with it", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared(database, { table: "apart", ...PATIENT })
        yield* sql`CREATE TABLE orders (id INT)`
        const written = row()
        const exit = yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO orders VALUES (1)`
          assert.isTrue(yield* write(store, NAME, written))
          assert.isTrue(yield* store.acquire(NAME, "a", LONG))
          return yield* Effect.fail("rolled back")
        })))
        assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual((yield* sql`SELECT id FROM orders`).length, 0)
        assert.deepStrictEqual(yield* store.read(NAME), written)
        assert.isFalse(yield* store.acquire(NAME, "b", LONG))
      }))

    it.scopedLive("is not asked: the store sees what is there now, not what was when it began", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared(database, { table: "fresh", ...PATIENT })
        const other = yield* open(database, { table: "fresh", ...PATIENT })
        const [first, second] = [row(), row()]
        assert.isTrue(yield* write(store, NAME, first))
        const repeatable = sql.literal(
          database.dialect === "pg" ? "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ" : "SELECT 1"
        )
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`${repeatable}`
          yield* sql`SELECT * FROM fresh`
          assert.isTrue(yield* write(other, NAME, second, first.version))
          assert.deepStrictEqual(yield* store.read(NAME), second)
          assert.isTrue(yield* write(store, NAME, row(), second.version))
        }))
      }))

    it.scopedLive("that failed does not refuse the store's statements", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared(database, { table: "aborted", ...PATIENT })
        const exit = yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* Effect.exit(sql`SELECT * FROM no_such_table`)
          assert.isTrue(yield* write(store, NAME, row()))
          return yield* Effect.fail("rolled back")
        })))
        assert.strictEqual(ended(exit), "rolled back")
        assert.isDefined(yield* store.read(NAME))
      }))
  })

  if (database.dialect === "sqlite") return
  describe(`the client of ${database.name}`, () => {
    it.scopedLive("may rename everything in the application's own statements, and look at them", () =>
      Effect.gen(function*() {
        const config = {
          url: Redacted.make(database.url),
          maxConnections: 2,
          transformQueryNames: (name: string) => `x_${name}`,
          transformResultNames: (name: string) => name.toUpperCase()
        }
        const client = database.dialect === "pg" ? PgClient.layer(config) : MysqlClient.layer(config)
        const seen: Array<string> = []
        const written = yield* Effect.gen(function*() {
          const store = yield* SqlTokenStore.backing({ table: "renamed", ...PATIENT })
          const written = row("sentinel-seen")
          assert.isTrue(yield* write(store, NAME, written))
          assert.deepStrictEqual(yield* store.read(NAME), written)
          return written
        }).pipe(
          Statement.withTransformer((self) =>
            Effect.sync(() => {
              seen.push(JSON.stringify(self.compile()))
              return self
            })
          ),
          Effect.provide(client)
        )
        const store = yield* open(database, { table: "renamed" })
        assert.deepStrictEqual(yield* store.read(NAME), written)
        assert.deepStrictEqual(seen, [])
      }))

    it.scopedLive("keeps connections for the application while another session holds the table, and gets all back", () =>
      Effect.gen(function*() {
        const { sql, store: backing } = yield* shared(database, { table: "held", ...PATIENT }, 6)
        const store = yield* TokenStore.make(backing, { timeout: "300 millis", coolDown: 0 })
        const context = yield* Layer.build(database.connect(1))
        const session = Context.get(context, SqlClient.SqlClient)
        const hold = database.dialect === "pg" ? "LOCK TABLE held IN ACCESS EXCLUSIVE MODE" : "LOCK TABLES held WRITE"
        const isHeld = yield* Effect.makeLatch()
        const mayEnd = yield* Effect.makeLatch()
        const holder = yield* session.withTransaction(Effect.gen(function*() {
          yield* session.unsafe(hold).unprepared
          yield* isHeld.open
          yield* mayEnd.await
          if (database.dialect === "mysql") yield* session.unsafe("UNLOCK TABLES").unprepared
        })).pipe(Effect.fork)
        yield* isHeld.await
        const start = Date.now()
        for (let i = 0; i < 2; i++) {
          const results = yield* Effect.all(
            Array.from({ length: 30 }, () => Effect.either(store.read(KEY))),
            { concurrency: "unbounded" }
          )
          assert.isTrue(results.every(Either.isLeft))
          // The application goes on.
          assert.strictEqual((yield* Effect.timeout(sql`SELECT 1 AS one`, "2 seconds")).length, 1)
        }
        assert.isBelow(Date.now() - start, 6000)
        yield* mayEnd.open
        yield* Fiber.join(holder)
        yield* Effect.retry(store.write(KEY, token("again"), { replaces: undefined }), {
          schedule: Schedule.spaced("50 millis"),
          times: 50
        })
        // Six at once, so all are free.
        const all = yield* Effect.all(
          Array.from({ length: 6 }, () => sql.withTransaction(Effect.zipRight(sql`SELECT 1 AS one`, Effect.sleep(50)))),
          { concurrency: "unbounded" }
        ).pipe(Effect.timeout("5 seconds"))
        assert.strictEqual(all.length, 6)
      }))
  })
})

await forEachDatabase((database) => {
  describe("statements that fail for a moment", () => {
    const failing = (code: string, times: number) =>
      Effect.gen(function*() {
        const context = yield* Layer.build(database.connect(1))
        const sql = Context.get(context, SqlClient.SqlClient)
        const store = yield* Effect.provide(SqlTokenStore.backing({ table: "moment", ...PATIENT }), context)
        let left = times
        const connection = yield* sql.reserve
        const before = connection.execute
        const fault = Object.assign(new Error("sentinel-driver"), { code, detail: "sentinel-detail" })
        ;(connection as { execute: typeof before }).execute = (...args) =>
          left-- > 0
            ? Effect.fail(new SqlError.SqlError({ cause: fault, message: "Failed to execute statement" }))
            : before.apply(connection, args)
        return { store, left: () => left }
      })

    it.scopedLive("a driver that remembers what it could not prepare, as sqlite-node does, finds the table all the same", () =>
      Effect.gen(function*() {
        const context = yield* Layer.build(database.connect(1))
        const connection = yield* Context.get(context, SqlClient.SqlClient).reserve
        const before = connection.execute
        const remembered = new Map<string, unknown>()
        const notPrepared = (cause: unknown) =>
          new SqlError.SqlError({ cause, message: "Failed to prepare statement " })
        ;(connection as { execute: typeof before }).execute = (text, ...rest) =>
          remembered.has(text)
            ? Effect.fail(notPrepared(remembered.get(text)))
            : Effect.mapError(before.call(connection, text, ...rest), ({ cause }) => {
              remembered.set(text, cause)
              return notPrepared(cause)
            })
        const store = yield* Effect.provide(SqlTokenStore.backing({ table: "remembered", ...PATIENT }), context)
        const written = row()
        assert.isTrue(yield* write(store, NAME, written))
        assert.deepStrictEqual(yield* store.read(NAME), written)
        assert.isAbove(remembered.size, 0)
      }))

    for (const code of ["40001", "40P01", "ER_LOCK_DEADLOCK", "ER_LOCK_WAIT_TIMEOUT", "SQLITE_BUSY_SNAPSHOT"]) {
      it.scopedLive(`${code} is tried again, and not for ever`, () =>
        Effect.gen(function*() {
          const passing = yield* Effect.scoped(
            Effect.flatMap(failing(code, 3), ({ store }) => Effect.either(store.read(NAME)))
          )
          assert.isTrue(Either.isRight(passing))
          const { left, store } = yield* failing(code, 1000)
          const error = yield* Effect.flip(store.read(NAME))
          assert.include(error.description, code)
          assert.strictEqual(left(), 960)
        }))
    }

    for (const code of ["ECONNRESET", "57P01", "25006", "XX999", "constructor"]) {
      it.scopedLive(`${code} is not: it may have been done`, () =>
        Effect.gen(function*() {
          const { left, store } = yield* failing(code, 1000)
          const error = yield* Effect.flip(write(store, unused(), row("sentinel-text")))
          assert.strictEqual(left(), 999)
          assert.include(error.description, code)
          assert.notInclude(inspect(error, { depth: 12 }), "sentinel")
          assert.strictEqual(Chunk.size(Cause.failures(Cause.fail(error))), 1)
        }))
    }
  })
}, [only.sqlite])
