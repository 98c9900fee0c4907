import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { asOwner, type Database, forEachDatabase, open } from "./databases.js"

const PROCESSES = 8
const ROUNDS = 5

interface Racer {
  readonly next: () => Promise<string>
  readonly go: () => void
  readonly ended: Promise<number | null>
}

const racer = (database: Database, id: number): Effect.Effect<Racer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [
          "--import",
          "tsx",
          fileURLToPath(new URL("child/racer.ts", import.meta.url)),
          database.dialect,
          database.url,
          `racer-${id}`,
          String(ROUNDS)
        ], { stdio: ["pipe", "pipe", "pipe"] })
      ),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    ),
    (child) => {
      let errors = ""
      child.stderr.setEncoding("utf8").on("data", (chunk) => errors += chunk)
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      return {
        next: () =>
          lines.next().then(({ done, value }) => {
            if (done === true) throw new Error(`racer ${id} ended: ${errors}`)
            return value as string
          }),
        go: () => void child.stdin.write("go\n"),
        ended: once(child, "exit").then(([code]) => code as number | null)
      }
    }
  )

await forEachDatabase((database) => {
  describe(`${PROCESSES} processes on ${database.name}`, () => {
    it.scopedLive("make one table at once, and of every race one of them is the winner", () =>
      Effect.gen(function*() {
        const racers = yield* Effect.forEach(Array.from({ length: PROCESSES }, (_, i) => i), (i) => racer(database, i))
        const all = <A>(f: (racer: Racer) => Promise<A>) => Effect.promise(() => Promise.all(racers.map(f)))
        const go = Effect.sync(() => racers.forEach(({ go }) => go()))
        assert.deepStrictEqual(new Set(yield* all(({ next }) => next())), new Set(["ready"]))
        yield* go
        for (let round = 0; round < ROUNDS; round++) {
          assert.deepStrictEqual(new Set(yield* all(({ next }) => next())), new Set(["at the line"]))
          yield* go
          const results = (yield* all(({ next }) => next())).map((line) => JSON.parse(line))
          assert.strictEqual(results.filter(({ isWritten }) => isWritten).length, 1)
          assert.strictEqual(results.filter(({ isHolder }) => isHolder).length, 1)
          const store = yield* open(database, { table: "race" })
          const winner = `racer-${results.findIndex(({ isWritten }) => isWritten)}`
          assert.deepStrictEqual(yield* store.read("row"), {
            text: `${winner}/${round}`,
            version: `${winner}-${round}`
          })
          yield* go
        }
        assert.deepStrictEqual(new Set(yield* all(({ ended }) => ended)), new Set([0]))
        const schemas = yield* asOwner(database.connect, (sql) => sql`SELECT version FROM race WHERE kind = 'schema'`)
        assert.strictEqual(schemas.length, 1)
      }), 120_000)
  })
})
