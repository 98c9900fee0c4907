import type { SqlClient, SqlError } from "@effect/sql"
import { LibsqlClient } from "@effect/sql-libsql"
import { MysqlClient } from "@effect/sql-mysql2"
import { PgClient } from "@effect/sql-pg"
import { type ConfigError, type Layer, Redacted } from "effect"

export type Dialect = "pg" | "mysql" | "sqlite"

export type Connect = (
  connections?: number
) => Layer.Layer<SqlClient.SqlClient, SqlError.SqlError | ConfigError.ConfigError>

export const connectTo = (dialect: Dialect, url: string): Connect => (connections = 3) =>
  dialect === "pg"
    ? PgClient.layer({ url: Redacted.make(url), maxConnections: connections })
    : dialect === "mysql"
    ? MysqlClient.layer({ url: Redacted.make(url), maxConnections: connections })
    : LibsqlClient.layer({ url })
