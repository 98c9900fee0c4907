// One of several processes on one database: makes the table, then runs for the same row and the same lease.
import { SqlTokenStore } from "@effect-dingtalk/store-sql"
import { SqlClient } from "@effect/sql"
import { Duration, Effect, Layer } from "effect"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { connectTo, type Dialect } from "../connect.js"

const [dialect, url, id, rounds] = process.argv.slice(2) as [Dialect, string, string, string]
const lines = createInterface({ input: process.stdin })
const told = Effect.promise(() => once(lines, "line"))
const tell = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  // libSQL does not let go of a statement that met a busy database: it has to wait by itself.
  yield* dialect === "sqlite" ? sql`PRAGMA busy_timeout = 5000` : sql`SELECT 1 AS one`
  yield* tell("ready")
  yield* told
  const store = yield* SqlTokenStore.backing({ table: "race", timeout: "30 seconds" })
  const keepFor = Duration.hours(1)
  for (let round = 0; round < Number(rounds); round++) {
    const replaces = round === 0 ? undefined : (yield* store.read("row"))!.version
    yield* tell("at the line")
    yield* told
    const isWritten = yield* store.write("row", { text: `${id}/${round}`, version: `${id}-${round}` }, {
      replaces,
      keepFor
    })
    const isHolder = yield* store.acquire(`lease-${round}`, id, keepFor)
    yield* tell(JSON.stringify({ isWritten, isHolder }))
    yield* told
  }
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.orDie(connectTo(dialect, url)(2))),
  Effect.runPromiseExit
).then((exit) => {
  if (exit._tag === "Failure") console.error(JSON.stringify(exit.cause))
  process.exit(exit._tag === "Failure" ? 1 : 0)
})
