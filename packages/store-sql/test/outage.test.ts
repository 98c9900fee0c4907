import { TokenStore } from "@effect-dingtalk/auth"
import { SqlTokenStore } from "@effect-dingtalk/store-sql"
import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Either, Fiber, Layer, Redacted, Schedule } from "effect"
import { connectTo } from "./connect.js"
import { cluster, programs } from "./postgresCluster.js"

const token = (value: string): TokenStore.StoredToken => ({
  value: Redacted.make(value),
  issuedAt: 0,
  expiresAt: Number.MAX_SAFE_INTEGER
})
const key = (clientId: string): TokenStore.Key => ({ host: "https://api.dingtalk.com", clientId, kind: "app" })
const options: SqlTokenStore.Options = { timeout: "1 second", coolDown: "50 millis" }

const connected = Effect.gen(function*() {
  const server = yield* cluster
  const context = yield* Layer.build(connectTo("pg", server.url)(4))
  return { ...server, context, sql: Context.get(context, SqlClient.SqlClient) }
})

const built = (context: Context.Context<SqlClient.SqlClient>, options: SqlTokenStore.Options) =>
  Effect.map(
    Layer.build(Layer.provide(SqlTokenStore.layer(options), Layer.succeedContext(context))),
    Context.get(TokenStore.TokenStore)
  )

const soon = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.retry(effect, { schedule: Schedule.spaced("60 millis"), times: 100 })

const reason = "PostgreSQL's server programs are not in /usr/lib/postgresql, and these tests stop a server of their own"

if (programs === undefined) console.warn(`skipped: ${reason}`)

describe.skipIf(programs === undefined)(programs === undefined ? reason : "a PostgreSQL that fails", () => {
  it.scopedLive(
    "is no hindrance to the Layer, which makes its table as soon as it is back",
    () =>
      Effect.gen(function*() {
        const { context, sql, start, stop } = yield* connected
        yield* stop
        const store = yield* built(context, options)
        assert.isTrue(Either.isLeft(yield* Effect.either(store.read(key("a")))))
        yield* start()
        const version = yield* soon(store.write(key("a"), token("a"), { replaces: undefined }))
        assert.isString(version)
        assert.strictEqual((yield* sql`SELECT 1 FROM dingtalk_tokens WHERE kind = 'token'`).length, 1)
      }),
    60_000
  )

  it.scopedLive(
    "may die in the middle and come back: what was written is there, and errors show nothing",
    () =>
      Effect.gen(function*() {
        const { context, start, stop } = yield* connected
        const store = yield* built(context, options)
        const written = yield* store.write(key("a"), token("sentinel-a"), { replaces: undefined })
        const errors: Array<TokenStore.TokenStoreError> = []
        const over = yield* Effect.makeLatch()
        let count = 0
        const busy = Effect.gen(function*() {
          for (;;) {
            const i = count++
            const result = yield* Effect.either(
              store.write(key(`busy-${i}`), token(`sentinel-${i}`), { replaces: undefined })
            )
            if (Either.isLeft(result)) errors.push(result.left)
            yield* Effect.sleep("1 millis")
          }
        }).pipe(Effect.race(over.await))
        const run = yield* Effect.fork(Effect.all([busy, busy, busy], { concurrency: "unbounded" }))
        yield* Effect.sleep("200 millis")
        yield* stop
        yield* Effect.sleep("300 millis")
        yield* start()
        const found = yield* soon(store.read(key("a")))
        yield* over.open
        yield* Fiber.join(run)
        assert.strictEqual(found.version, written)
        assert.isAbove(errors.length, 0)
        for (const error of errors) assert.notInclude(JSON.stringify(error) + String(error.stack), "sentinel")
        // Connections that broke are no loss: as many as before can be had.
        yield* soon(Effect.all(Array.from({ length: 8 }, (_, i) => store.read(key(`after-${i}`))), { concurrency: 8 }))
      }),
    60_000
  )

  it.scopedLive(
    "may take no writes: what is there can be read, and a new store is merely down",
    () =>
      Effect.gen(function*() {
        const { context, start, stop } = yield* connected
        const store = yield* built(context, options)
        const version = yield* store.write(key("a"), token("a"), { replaces: undefined })
        yield* stop
        yield* start("default_transaction_read_only=on")
        const found = yield* soon(store.read(key("a")))
        assert.strictEqual(found.version, version)
        const error = yield* Effect.flip(store.write(key("a"), token("b"), { replaces: version }))
        assert.include(error.message, "takes no writes")
        const fresh = yield* built(context, { ...options, table: "another" })
        assert.isTrue(Either.isLeft(yield* Effect.either(fresh.read(key("a")))))
        yield* stop
        yield* start()
        assert.isString(yield* soon(store.write(key("a"), token("b"), { replaces: version })))
        assert.isString(yield* soon(fresh.write(key("a"), token("b"), { replaces: undefined })))
      }),
    60_000
  )

  it.scopedLive(
    "may serialize everything: of writers in each other's way one wins, and none fails",
    () =>
      Effect.gen(function*() {
        const { context, start, stop } = yield* connected
        yield* stop
        yield* start("default_transaction_isolation=serializable")
        const store = yield* Effect.provide(SqlTokenStore.backing({ timeout: "20 seconds" }), context)
        yield* soon(store.read("key"))
        const rows = Array.from({ length: 40 }, (_, i) => ({ text: "text", version: `v${i}` }))
        const keepFor = Duration.hours(1)
        const first = yield* Effect.forEach(rows, (row) => store.write("key", row, { replaces: undefined, keepFor }), {
          concurrency: "unbounded"
        })
        assert.strictEqual(first.filter(Boolean).length, 1)
        const { version } = (yield* store.read("key"))!
        const next = rows.map(({ text }, i) => ({ text, version: `w${i}` }))
        const second = yield* Effect.forEach(next, (row) => store.write("key", row, { replaces: version, keepFor }), {
          concurrency: "unbounded"
        })
        assert.strictEqual(second.filter(Boolean).length, 1)
      }),
    60_000
  )

  it.scopedLive(
    "may give no permission, which is an error at once; to a table that is there it need not",
    () =>
      Effect.gen(function*() {
        const { context, sql, url } = yield* connected
        yield* sql`CREATE ROLE guest LOGIN`
        yield* sql`REVOKE CREATE ON SCHEMA public FROM PUBLIC`
        const guest = yield* Layer.build(connectTo("pg", url.replace("tester@", "guest@"))(2))
        const error = yield* Effect.flip(Effect.scoped(built(guest, options)))
        assert.instanceOf(error, TokenStore.TokenStoreError)
        assert.include(error.message, "no permission")
        yield* built(context, options)
        yield* sql`GRANT SELECT, INSERT, UPDATE, DELETE ON dingtalk_tokens TO guest`
        const store = yield* built(guest, options)
        assert.isString(yield* store.write(key("a"), token("a"), { replaces: undefined }))
      }),
    60_000
  )
})
