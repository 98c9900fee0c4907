import type { SqlTokenStore } from "@effect-dingtalk/store-sql"
import { Effect } from "effect"
import { tokenStoreContract } from "../../../auth/test/contract/tokenStore.js"
import { asOwner, type Database, open } from "../databases.js"

const options: SqlTokenStore.Options = { table: "contract", timeout: "20 seconds" }

/** The suite of all stores, on one database. */
export const contract = (database: Database): void => {
  const body = {
    garbage: "'not what was written'",
    truncated: database.dialect === "mysql" ? "LEFT(body, 20)" : "SUBSTR(body, 1, 20)",
    empty: "''"
  }
  tokenStoreContract(`SqlTokenStore on ${database.name}`, {
    open: open(database, options),
    corrupt: (key, how) =>
      asOwner(
        database.connect,
        (sql) => sql`UPDATE contract SET body = ${sql.literal(body[how])} WHERE kind = 'token' AND name = ${key}`
      ),
    raw: asOwner(
      database.connect,
      (sql) =>
        Effect.map(
          sql<{ readonly name: unknown }>`SELECT * FROM contract`,
          (rows) => JSON.stringify(rows.map((row) => ({ ...row, name: String(row.name) })))
        )
    ),
    broken: Effect.tap(
      open(database, { table: "broken" }),
      () => asOwner(database.connect, (sql) => sql`ALTER TABLE broken RENAME COLUMN kind TO sort`)
    ),
    clock: "live"
  })
}
