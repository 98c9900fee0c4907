/**
 * One process of a back end, of which there are several: its token is in a store that all of them share, so that one of
 * them fetches it and the others find it there. `fleet.ts` starts some of these.
 *
 *   STORE=redis REDIS_URL=… DINGTALK_CLIENT_ID=… DINGTALK_CLIENT_SECRET=… node --import tsx examples/src/fleet-process.ts
 */
import { TokenService } from "@effect-dingtalk/auth"
import { Contact } from "@effect-dingtalk/core"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import { RedisLimiter, RedisTokenStore } from "@effect-dingtalk/store-redis"
import { SqlTokenStore } from "@effect-dingtalk/store-sql"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Layer } from "effect"

const InPostgres = SqlTokenStore.layerConfig().pipe(
  Layer.provide(PgClient.layerConfig({ url: Config.redacted("DATABASE_URL") }))
)

/** REDIS_URL; with DINGTALK_TOKEN_STORE_KEYS, no token in it can be read. */
const InRedis = RedisTokenStore.layerConfig()

const Store = Layer.unwrapEffect(
  Effect.map(
    Config.literal("postgres", "redis")("STORE"),
    (store) => store === "postgres" ? InPostgres : InRedis
  )
)

/** With Redis, the pace is shared too: all processes together keep to the 20 calls a second that the platform permits. */
const Limits = Layer.unwrapEffect(
  Effect.map(
    Config.string("STORE"),
    (store) => store === "redis" ? RedisLimiter.layerConfig() : Layer.empty
  )
)

const DingTalkLayer = DingTalkHttp.layerConfig().pipe(
  Layer.provide(Limits),
  Layer.provideMerge(TokenService.layerConfig()),
  Layer.provide(Store),
  Layer.provide(HttpTransport.layerConfig()),
  Layer.provide(NodeHttpClient.layerUndici)
)

const program = Effect.gen(function*() {
  const name = yield* Config.string("NAME").pipe(Config.withDefault("process"))
  const users = yield* Effect.forEach(
    Array.from({ length: 10 }, () => "zhangsan"),
    (userid) => Contact.getUser({ userid }),
    { concurrency: 5 }
  )
  yield* Console.log(`${name}: ${users.length} calls, ${users[0]!.name}`)
})

NodeRuntime.runMain(Effect.provide(program, DingTalkLayer))
