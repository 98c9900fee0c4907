import { Emulator, EmulatorServer, Fault } from "@effect-dingtalk/emulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { ChildProcess } from "node:child_process"
import { execFile, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { connect } from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { exclusively } from "./exclusive.js"

exclusively()

const DATABASE_URL = process.env["DATABASE_URL"] ?? "postgres://root@127.0.0.1:5432/test"
const REDIS_URL = process.env["REDIS_URL"] ?? "redis://127.0.0.1:6379"

const isThere = (url: string, port: number) =>
  new Promise<boolean>((resolve) => {
    const { hostname, port: own } = new URL(url)
    const socket = connect(own === "" ? port : Number(own), hostname)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

interface Outcome {
  readonly calls: number
  readonly failures: ReadonlyArray<string>
}

interface Worker {
  readonly child: ChildProcess
  readonly go: () => void
  /** `undefined`: it was killed */
  readonly outcome: Effect.Effect<Outcome | undefined>
}

const worker = (options: {
  readonly store: string
  readonly namespace: string
  readonly url: string
  readonly seconds: number
}): Effect.Effect<Worker> =>
  Effect.promise(async () => {
    const child = spawn(
      process.execPath,
      ["--import", "tsx", fileURLToPath(new URL("fleet-worker.ts", import.meta.url))],
      {
        stdio: ["pipe", "pipe", "inherit"],
        env: {
          ...process.env,
          DATABASE_URL,
          REDIS_URL,
          STORE: options.store,
          NAMESPACE: options.namespace,
          SECONDS: String(options.seconds),
          DINGTALK_URL: options.url,
          DINGTALK_CLIENT_ID: "dingquickstart",
          DINGTALK_CLIENT_SECRET: "quickstart-secret"
        }
      }
    )
    const lines: Array<string> = []
    const reader = createInterface({ input: child.stdout })
    reader.on("line", (line) => lines.push(line))
    const closed = once(child, "close")
    await Promise.race([once(reader, "line"), closed])
    return {
      child,
      go: () => child.stdin.write("go\n"),
      outcome: Effect.promise(async () => {
        await closed
        return lines.length < 2 ? undefined : JSON.parse(lines[1]!) as Outcome
      })
    }
  })

const example = (store: string): Effect.Effect<string> =>
  Effect.async((resume) => {
    execFile(
      process.execPath,
      ["--import", "tsx", fileURLToPath(new URL("../src/fleet.ts", import.meta.url)), store],
      { env: { ...process.env, DATABASE_URL, REDIS_URL }, timeout: 100_000 },
      (_error, out, err) => resume(Effect.succeed(out + err))
    )
  })

const LIFE = 6000

const fleet = (store: "postgres" | "redis") =>
  Effect.gen(function*() {
    const emulator = yield* Emulator.Emulator
    const { url } = yield* EmulatorServer.EmulatorServer
    const namespace = `fleet_${randomUUID().slice(0, 8)}`
    const start = (count: number, seconds: number) =>
      Effect.forEach(Array.from({ length: count }), () => worker({ store, namespace, url, seconds }), {
        concurrency: 2
      })
    const fetches = Effect.map(emulator.requests, (entries) =>
      entries.filter((entry) => entry.endpoint === "oauth2.getAccessToken").map((entry) => entry.at))
    return { emulator, start, fetches }
  })

const platform = EmulatorServer.layer({ port: 0 }).pipe(
  Layer.provideMerge(Emulator.layer({ tokenLifetime: LIFE, requestLog: 100_000 }))
)

for (
  const [store, url, port] of [["postgres", DATABASE_URL, 5432], ["redis", REDIS_URL, 6379]] as const
) {
  const isUp = await isThere(url, port)
  if (!isUp && process.env["CI"] !== undefined) throw new Error(`${store} is not there, and CI is set`)
  if (!isUp) console.log(`skipped: eight processes on ${store}, for it does not answer at ${new URL(url).host}`)

  describe.skipIf(!isUp).sequential(`eight processes on ${store}`, () => {
    it.live(
      "fetch one token together, cold and at each refresh, and a restart fetches none",
      () =>
        Effect.gen(function*() {
          const { emulator, fetches, start } = yield* fleet(store)
          const workers = yield* start(8, 11)
          for (const { go } of workers) go()
          const outcomes = yield* Effect.forEach(workers, ({ outcome }) => outcome, { concurrency: 8 })
          assert.deepStrictEqual(outcomes.flatMap((outcome) => outcome!.failures), [])
          assert.isAbove(outcomes.reduce((sum, outcome) => sum + outcome!.calls, 0), 8 * 20)

          const at = yield* fetches
          // Due some seconds after the one before, ahead of its end or at it: one each time, never two for one window.
          assert.isAtLeast(at.length, 3)
          for (let i = 1; i < at.length; i++) {
            assert.isAbove(at[i]! - at[i - 1]!, LIFE / 4, `fetched at ${at.join(", ")}`)
          }

          // A lease and a token that are in the store: whoever starts now asks the platform for nothing.
          yield* emulator.setTokenLifetime("2 hours")
          const [before] = yield* start(1, 0.2)
          before!.go()
          yield* before!.outcome
          const known = (yield* fetches).length
          const [after] = yield* start(1, 0.2)
          after!.go()
          assert.deepStrictEqual((yield* after!.outcome)?.failures, [])
          assert.strictEqual((yield* fetches).length, known)
        }).pipe(Effect.provide(platform)),
      120_000
    )

    it.live("the example says that one token was fetched", () =>
      Effect.gen(function*() {
        const out = yield* example(store)
        assert.match(out, /the platform saw 1 token request for 40 calls/)
        // A machine that is busy may miss the second that a store has; that costs one request more, and no call.
        assert.match(out, /the platform saw (1 token request|2 token requests) for 50 calls/)
        assert.notInclude(out, "quickstart-secret")
      }), 120_000)

    it.live("go on when the one that fetches is killed in the middle", () =>
      Effect.gen(function*() {
        const { emulator, fetches, start } = yield* fleet(store)
        yield* emulator.setTokenLifetime("2 hours")
        yield* emulator.failNext(Fault.delay("20 seconds"), { matching: { endpoint: "oauth2.getAccessToken" } })
        const [first, ...others] = yield* start(8, 6)
        first!.go()
        while ((yield* fetches).length === 0) yield* Effect.sleep("20 millis")
        for (const { go } of others) go()
        yield* Effect.sleep("300 millis")
        first!.child.kill("SIGKILL")
        const outcomes = yield* Effect.forEach(others, ({ outcome }) => outcome, { concurrency: 8 })
        assert.deepStrictEqual(outcomes.flatMap((outcome) => outcome!.failures), [])
        for (const outcome of outcomes) assert.isAbove(outcome!.calls, 0)
        assert.strictEqual((yield* fetches).length, 2)
      }).pipe(Effect.provide(platform)), 120_000)
  })
}
