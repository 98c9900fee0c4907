// One process of `fleet.test.ts`: says "ready", waits for a line, calls for a while, and prints what came of it.
import { TokenService } from "@effect-dingtalk/auth"
import { Contact } from "@effect-dingtalk/core"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import { RedisTokenStore } from "@effect-dingtalk/store-redis"
import { SqlTokenStore } from "@effect-dingtalk/store-sql"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, ManagedRuntime, Redacted, Schedule } from "effect"
import { createInterface } from "node:readline"

const { DATABASE_URL, NAMESPACE, REDIS_URL, SECONDS, STORE } = process.env as Record<string, string>

// Whether a token is fetched once is the question here, not how long a busy machine takes to open a connection.
const store = STORE === "postgres"
  ? SqlTokenStore.layer({ table: NAMESPACE!, timeout: "5 seconds" }).pipe(
    Layer.provide(PgClient.layer({ url: Redacted.make(DATABASE_URL!), maxConnections: 2 }))
  )
  : RedisTokenStore.layer({ url: Redacted.make(REDIS_URL!), prefix: `${NAMESPACE!}:`, timeout: "5 seconds" })

const runtime = ManagedRuntime.make(
  DingTalkHttp.layer({ limiter: false }).pipe(
    Layer.provideMerge(TokenService.layerConfig()),
    Layer.provide(store),
    Layer.provide(HttpTransport.layerConfig()),
    Layer.provide(NodeHttpClient.layerUndici)
  )
)

const result = { calls: 0, failures: [] as Array<string> }

const once = Contact.getUser({ userid: "zhangsan" }).pipe(
  Effect.match({
    onSuccess: () => {
      result.calls++
    },
    onFailure: (error) => {
      result.failures.push(`${error._tag}: ${error.message}`)
    }
  })
)

const lines = createInterface({ input: process.stdin })
lines.once("line", () => {
  const loop = Effect.repeat(Effect.zipRight(once, Effect.sleep("50 millis")), {
    schedule: Schedule.upTo(Schedule.forever, `${Number(SECONDS)} seconds`)
  })
  runtime.runPromise(loop).then(async () => {
    console.log(JSON.stringify(result))
    await runtime.dispose()
    process.exit(0)
  })
})
console.log("ready")
