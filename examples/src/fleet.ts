/**
 * A fleet of processes that share one token, in Redis or in PostgreSQL, against the emulator. One of the two has to be
 * there; what is left in it ends by itself.
 *
 *   npx -y pnpm@10.34.9 example examples/src/fleet.ts            # Redis, REDIS_URL or at its usual address
 *   npx -y pnpm@10.34.9 example examples/src/fleet.ts postgres   # PostgreSQL, DATABASE_URL or at its usual address
 */
import { Emulator, EmulatorServer } from "@effect-dingtalk/emulator"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Command from "@effect/platform/Command"
import { Console, Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { fileURLToPath } from "node:url"

const store = process.argv[2] ?? "redis"
if (store !== "redis" && store !== "postgres") {
  console.error(`redis or postgres, and not ${store}`)
  process.exit(2)
}

const start = (name: string, url: string) =>
  Command.make(process.execPath, "--import", "tsx", fileURLToPath(new URL("fleet-process.ts", import.meta.url))).pipe(
    Command.env({
      REDIS_URL: "redis://127.0.0.1:6379",
      DATABASE_URL: "postgres://root@127.0.0.1:5432/test",
      ...process.env,
      NAME: name,
      DINGTALK_TOKEN_STORE_TABLE: "dingtalk_example",
      DINGTALK_REDIS_PREFIX: "dingtalk-example:",
      STORE: store,
      DINGTALK_URL: url,
      DINGTALK_CLIENT_ID: "dingquickstart",
      DINGTALK_CLIENT_SECRET: "quickstart-secret",
      // `openssl rand -base64 32`; with a key of its own, this run finds nothing of an earlier one.
      DINGTALK_TOKEN_STORE_KEYS: process.env["DINGTALK_TOKEN_STORE_KEYS"] ?? KEYS
    }),
    Command.stdout("inherit"),
    Command.stderr("inherit"),
    Command.exitCode
  )

const KEYS = `today:${Buffer.from(randomUUID().replaceAll("-", "")).toString("base64")}`

const program = Effect.gen(function*() {
  const emulator = yield* Emulator.Emulator
  const { url } = yield* EmulatorServer.EmulatorServer
  const report = Effect.flatMap(
    Effect.all([
      emulator.count({ endpoint: "oauth2.getAccessToken" }),
      emulator.count({ endpoint: "contact.getUser" })
    ]),
    ([tokens, calls]) =>
      Console.log(`the platform saw ${tokens} token request${tokens === 1 ? "" : "s"} for ${calls} calls`)
  )

  yield* Console.log(`Store            ${store}`)
  yield* Console.log("\nfour processes, started at once")
  yield* Effect.forEach([1, 2, 3, 4], (n) => start(`process ${n}`, url), { concurrency: 4 })
  yield* report

  yield* Console.log("\none that starts later")
  yield* start("process 5", url)
  yield* report
})

NodeRuntime.runMain(
  Effect.provide(
    program,
    EmulatorServer.layer({ port: 0 }).pipe(Layer.provideMerge(Emulator.layer()), Layer.merge(NodeContext.layer))
  )
)
