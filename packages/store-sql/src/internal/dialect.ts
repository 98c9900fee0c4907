import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"

/** @internal */
export type Kind = "token" | "lease" | "schema"

/** @internal */
export interface Entry {
  readonly kind: Kind
  readonly name: string
  readonly version: string
  readonly body: string
  /** by the database's clock, in milliseconds from now */
  readonly lasts: number
}

/**
 * One table holds it all. Every change is decided by one statement, and every time is taken from the database.
 *
 * @internal
 */
export interface Dialect {
  /** each may be repeated */
  readonly create: ReadonlyArray<Effect.Effect<unknown, SqlError>>
  /** what is there and has not ended */
  readonly find: (kind: Kind, name: string) => Effect.Effect<ReadonlyArray<unknown>, SqlError>
  /** writes where there is none, or none that counts; or where it has this very version, if `orSame` */
  readonly put: (entry: Entry, orSame: boolean) => Effect.Effect<boolean, SqlError>
  /** writes where there is one of the version `replaces` */
  readonly swap: (entry: Entry, replaces: string) => Effect.Effect<boolean, SqlError>
  /** of any version, unless it says which */
  readonly remove: (kind: Kind, name: string, version?: string) => Effect.Effect<unknown, SqlError>
  /** removes at most `limit` of those that ended `before` milliseconds ago or earlier, and says how many */
  readonly sweep: (before: number, limit: number) => Effect.Effect<number, SqlError>
  /** `false`: a driver that is left alone in the middle keeps its connection until the database answers */
  readonly isInterruptible: boolean
}

// The application's own transforms and transformers are for its own statements.
const rows = (statement: Statement.Statement<unknown>): Effect.Effect<ReadonlyArray<unknown>, SqlError> =>
  statement.withoutTransform

/** PostgreSQL and SQLite speak alike. */
const upserting = (
  sql: SqlClient.SqlClient,
  table: Statement.Fragment,
  now: Statement.Fragment,
  isWhole: Statement.Fragment,
  rows: (statement: Statement.Statement<unknown>) => Effect.Effect<ReadonlyArray<unknown>, SqlError>
): Omit<Dialect, "create" | "sweep"> => {
  const isAlive = sql`${isWhole} AND e.expires_at > ${now}`
  const returning = (statement: Statement.Statement<unknown>) => Effect.map(rows(statement), ({ length }) => length > 0)
  // Some drivers send every number as one with fractions.
  const integer = sql.literal("BIGINT")
  return {
    isInterruptible: true,
    find: (kind, name) =>
      rows(sql`SELECT e.version, e.body FROM ${table} AS e WHERE e.kind = ${kind} AND e.name = ${name} AND ${isAlive}`),
    put: ({ body, kind, lasts, name, version }, orSame) =>
      returning(sql`
        INSERT INTO ${table} AS e (kind, name, version, body, expires_at)
        VALUES (${kind}, ${name}, ${version}, ${body}, ${now} + CAST(${lasts} AS ${integer}))
        ON CONFLICT (kind, name) DO UPDATE
        SET version = excluded.version, body = excluded.body, expires_at = excluded.expires_at
        WHERE (${isAlive}) IS NOT TRUE ${orSame ? sql`OR e.version = ${version}` : sql.literal("")}
        RETURNING 1 AS done`),
    swap: ({ body, kind, lasts, name, version }, replaces) =>
      returning(sql`
        UPDATE ${table} AS e SET version = ${version}, body = ${body}, expires_at = ${now} + CAST(${lasts} AS ${integer})
        WHERE e.kind = ${kind} AND e.name = ${name} AND e.version = ${replaces} AND ${isAlive}
        RETURNING 1 AS done`),
    remove: (kind, name, version) =>
      rows(
        sql`DELETE FROM ${table} WHERE kind = ${kind} AND name = ${name} ${
          version === undefined ? sql.literal("") : sql`AND version = ${version}`
        }`
      )
  }
}

const quoted = (parts: ReadonlyArray<string>, quote: string): string =>
  parts.map((part) => `${quote}${part}${quote}`).join(".")

const pg = (sql: SqlClient.SqlClient, parts: ReadonlyArray<string>): Dialect => {
  const table = sql.literal(quoted(parts, "\""))
  const now = sql.literal("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")
  return {
    ...upserting(sql, table, now, sql.literal("e.version IS NOT NULL AND e.body IS NOT NULL"), rows),
    create: [
      rows(sql`
        CREATE TABLE IF NOT EXISTS ${table} (
          kind TEXT COLLATE "C" NOT NULL,
          name TEXT COLLATE "C" NOT NULL,
          version TEXT COLLATE "C" NOT NULL,
          body TEXT NOT NULL,
          expires_at BIGINT NOT NULL,
          PRIMARY KEY (kind, name)
        )`),
      // An index goes where its table is.
      rows(sql`
        CREATE INDEX IF NOT EXISTS ${sql.literal(quoted([`${parts.at(-1)}_expires_at`], "\""))}
        ON ${table} (expires_at)`)
    ],
    sweep: (before, limit) =>
      Effect.map(
        // Within a subquery the clock is read once, so that the index serves.
        rows(sql`
          DELETE FROM ${table} WHERE (kind, name) IN (
            SELECT kind, name FROM ${table} WHERE expires_at < (SELECT ${now} - ${before})
            ORDER BY expires_at LIMIT ${sql.literal(String(limit))} FOR UPDATE SKIP LOCKED
          ) RETURNING 1 AS done`),
        ({ length }) => length
      )
  }
}

const sqlite = (sql: SqlClient.SqlClient, parts: ReadonlyArray<string>): Dialect => {
  const table = sql.literal(quoted(parts, "\""))
  // `unixepoch('subsec')` is of 3.42; this is as exact and of any.
  const now = sql.literal("CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)")
  // A column's type binds nobody in SQLite.
  let again = 0
  // sqlite-node keeps for 10 minutes that a text could not be prepared, be it that the table was not there yet.
  const rows = (statement: Statement.Statement<unknown>): Effect.Effect<ReadonlyArray<unknown>, SqlError> =>
    Effect.catchIf(
      statement.withoutTransform,
      ({ message }) => message.startsWith("Failed to prepare"),
      () => sql`${statement} ${sql.literal(`/* ${++again} */`)}`.withoutTransform
    )
  const isWhole = "typeof(e.version) = 'text' AND typeof(e.body) = 'text' AND typeof(e.expires_at) = 'integer'"
  return {
    ...upserting(sql, table, now, sql.literal(isWhole), rows),
    create: [
      rows(sql`
        CREATE TABLE IF NOT EXISTS ${table} (
          kind TEXT NOT NULL,
          name TEXT NOT NULL,
          version TEXT NOT NULL,
          body TEXT NOT NULL,
          expires_at INTEGER NOT NULL,
          PRIMARY KEY (kind, name)
        )`),
      rows(sql`
        CREATE INDEX IF NOT EXISTS ${
        sql.literal(quoted([...parts.slice(0, -1), `${parts.at(-1)}_expires_at`], "\""))
      } ON ${sql.literal(quoted(parts.slice(-1), "\""))} (expires_at)`)
    ],
    sweep: (before, limit) =>
      Effect.map(
        rows(sql`
          DELETE FROM ${table} WHERE rowid IN (
            SELECT rowid FROM ${table} WHERE expires_at < ${now} - ${before}
            ORDER BY expires_at LIMIT ${sql.literal(String(limit))}
          ) RETURNING 1 AS done`),
        ({ length }) => length
      )
  }
}

const affected = (statement: Statement.Statement<unknown>): Effect.Effect<number, SqlError> =>
  Effect.map(statement.raw, (result) => Number((result as { readonly affectedRows?: unknown }).affectedRows))

/** No upsert of MySQL has a condition, and how many rows one affects depends on the connection's flags. */
const mysql = (sql: SqlClient.SqlClient, parts: ReadonlyArray<string>): Dialect => {
  const table = sql.literal(quoted(parts, "`"))
  // Of no time zone, not even in the hour that comes twice.
  const now = sql.literal("(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)")
  const isAlive = sql`e.version IS NOT NULL AND e.body IS NOT NULL AND e.expires_at > ${now}`
  // A collation would take `a` for `a `.
  const isVersion = (column: string, version: string) =>
    sql`CAST(${sql.literal(column)} AS BINARY) = CAST(${version} AS BINARY)`
  const update = ({ body, kind, lasts, name, version }: Entry, where: Statement.Fragment) => {
    const end = sql`(${now} + CAST(${lasts} AS SIGNED))`
    return Effect.map(
      affected(sql`
        UPDATE ${table} AS e SET
          e.version = ${version},
          e.body = ${body},
          e.expires_at = IF(e.expires_at <=> ${end}, ${end} + 1, ${end})
        WHERE e.kind = ${kind} AND e.name = ${name} AND (${where})`),
      // Something always changes, so that rows found are rows changed, whichever of them is counted.
      (count) => count > 0
    )
  }
  return {
    isInterruptible: false,
    create: [
      rows(sql`
        CREATE TABLE IF NOT EXISTS ${table} (
          kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
          name VARBINARY(512) NOT NULL,
          version VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
          body MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
          expires_at BIGINT NOT NULL,
          PRIMARY KEY (kind, name),
          KEY ${sql.literal(quoted([`${parts.at(-1)}_expires_at`], "`"))} (expires_at)
        ) ENGINE = InnoDB`)
    ],
    find: (kind, name) =>
      rows(sql`SELECT e.version, e.body FROM ${table} AS e WHERE e.kind = ${kind} AND e.name = ${name} AND ${isAlive}`),
    put: (entry, orSame) =>
      Effect.flatMap(
        affected(sql`
          INSERT IGNORE INTO ${table} (kind, name, version, body, expires_at)
          VALUES (${entry.kind}, ${entry.name}, ${entry.version}, ${entry.body}, ${now} + CAST(${entry.lasts} AS SIGNED))`),
        (count) =>
          count > 0
            ? Effect.succeed(true)
            : update(
              entry,
              orSame
                ? sql`(${isAlive}) IS NOT TRUE OR ${isVersion("e.version", entry.version)}`
                : sql`(${isAlive}) IS NOT TRUE`
            )
      ),
    swap: (entry, replaces) => update(entry, sql`${isVersion("e.version", replaces)} AND ${isAlive}`),
    remove: (kind, name, version) =>
      rows(
        sql`DELETE FROM ${table} WHERE kind = ${kind} AND name = ${name} ${
          version === undefined ? sql.literal("") : sql`AND ${isVersion("version", version)}`
        }`
      ),
    sweep: (before, limit) =>
      affected(sql`
        DELETE FROM ${table} WHERE expires_at < ${now} - CAST(${before} AS SIGNED)
        ORDER BY expires_at LIMIT ${sql.literal(String(limit))}`)
  }
}

/**
 * `undefined`: there is no store on such a database.
 *
 * @internal
 */
export const dialect = (sql: SqlClient.SqlClient, parts: ReadonlyArray<string>): Dialect | undefined =>
  sql.onDialectOrElse({
    pg: () => pg(sql, parts),
    mysql: () => mysql(sql, parts),
    sqlite: () => sqlite(sql, parts),
    orElse: () => undefined
  })
