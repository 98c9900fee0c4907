import { SqlTokenStore } from "@effect-dingtalk/store-sql"
import type { SqlError } from "@effect/sql"
import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import type { ConfigError } from "effect"
import { Effect, Either, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"
import { type Connect, connectTo, type Dialect } from "./connect.js"

export interface Database {
  readonly name: "PostgreSQL" | "MySQL or MariaDB" | "SQLite"
  readonly dialect: Dialect
  /** a place of this run's own, which is gone after it */
  readonly place: string
  /** each time a pool of its own */
  readonly connect: Connect
  /** for processes of their own: `dialect url` */
  readonly url: string
}

const place = (): string => `store_sql_${crypto.randomUUID().slice(0, 8)}`

const POSTGRES = process.env["DATABASE_URL"] ?? "postgres://root@127.0.0.1:5432/test"
const MYSQL = process.env["MYSQL_URL"] ?? "mysql://root@127.0.0.1:3306/test"

/** As the application that owns the database. */
export const asOwner = <A, E, R>(
  connect: Connect,
  effect: (sql: SqlClient.SqlClient) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError.SqlError | ConfigError.ConfigError, Exclude<R, SqlClient.SqlClient>> =>
  Effect.provide(Effect.flatMap(SqlClient.SqlClient, effect), connect(1))

const server = (
  name: Database["name"],
  dialect: "pg" | "mysql",
  url: string,
  place: string,
  urlOfPlace: string
): Database => ({ name, dialect, place, url: urlOfPlace, connect: connectTo(dialect, urlOfPlace) })

const postgres = (): Database => {
  const own = place()
  const url = new URL(POSTGRES)
  url.searchParams.set("options", `-c search_path=${own}`)
  return server("PostgreSQL", "pg", POSTGRES, own, url.href)
}
const mysql = (): Database => {
  const own = place()
  const url = new URL(MYSQL)
  url.pathname = `/${own}`
  return server("MySQL or MariaDB", "mysql", MYSQL, own, url.href)
}
const sqlite = (): Database => {
  const own = join(mkdtempSync(join(tmpdir(), "store-sql-")), "tokens.db")
  const url = `file:${own}`
  return { name: "SQLite", dialect: "sqlite", place: own, url, connect: connectTo("sqlite", url) }
}

const prepare = (database: Database, isThere: boolean): Effect.Effect<unknown, unknown> => {
  const [base, what] = database.dialect === "pg" ? [POSTGRES, "SCHEMA"] : [MYSQL, "DATABASE"]
  if (database.dialect === "sqlite") {
    return isThere
      ? asOwner(database.connect, (sql) => sql`PRAGMA journal_mode = WAL`)
      : Effect.sync(() => rmSync(dirname(database.place), { recursive: true, force: true }))
  }
  const end = database.dialect === "pg" && !isThere ? " CASCADE" : ""
  return asOwner(
    connectTo(database.dialect, base),
    (sql) => sql.unsafe(`${isThere ? "CREATE" : "DROP"} ${what} ${database.place}${end}`)
  )
}

/**
 * Runs a suite on each database that can be reached. One that cannot is said so, and under CI it is a failure.
 */
export const forEachDatabase = async (
  suite: (database: Database) => void,
  which: ReadonlyArray<() => Database> = [postgres, mysql, sqlite]
): Promise<void> => {
  for (const make of which) {
    const database = make()
    const isThere = await Effect.runPromise(Effect.either(prepare(database, true)))
    if (Either.isRight(isThere)) {
      afterAll(() => Effect.runPromise(Effect.ignore(prepare(database, false))), 30_000)
      suite(database)
      continue
    }
    const variable = database.dialect === "pg" ? "DATABASE_URL" : "MYSQL_URL"
    const reason = `no ${database.name}: none at its usual local address, nor by ${variable}`
    if (process.env["CI"] === "true") it(reason, () => assert.fail(reason))
    else {
      console.warn(`skipped: ${reason}`)
      describe.skip(reason, () => it(reason, () => {}))
    }
  }
}

export const only = { postgres, mysql, sqlite }

/** A handle of its own, as another process would have it. */
export const open = (database: Database, options: SqlTokenStore.Options = {}, connections?: number) =>
  Effect.flatMap(
    Layer.build(Layer.orDie(database.connect(connections))),
    (context) => Effect.provide(SqlTokenStore.backing(options), context)
  )
