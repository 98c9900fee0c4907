/**
 * A connection that is never in the way: it is made in the background, comes back by itself, and what is asked of it
 * while Redis is away fails at once.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type Cluster, Redis, type RedisOptions } from "ioredis"
import * as Command from "./internal/command.js"

/**
 * What ioredis connects with: to one server, with or without Sentinel, or to a cluster.
 *
 * @since 0.1.0
 * @category models
 */
export type Client = Redis | Cluster

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** such as `redis://user:password@host:6379/0`, or `rediss://` for TLS; `redis://127.0.0.1:6379` if neither is given */
  readonly url?: string | Redacted.Redacted | undefined
  /** what ioredis takes: Sentinels, TLS, a `keyPrefix`; it goes before what is said here of patience */
  readonly ioredis?: RedisOptions | undefined
}

const LOCAL = "redis://127.0.0.1:6379"

// The URL itself is not shown: it may hold a password.
const validate = (url: string): Either.Either<string, string> =>
  /^rediss?:\/\/./.test(url) && URL.canParse(url)
    ? Either.right(url)
    : Either.left("a Redis URL must be like redis://user:password@host:6379/0, with rediss: for TLS")

/**
 * The URL from `REDIS_URL`, or from a name of your own.
 *
 * @since 0.1.0
 * @category config
 * @example
 * ```ts
 * import { RedisConnection } from "@effect-dingtalk/store-redis"
 * import { ConfigProvider, Effect } from "effect"
 *
 * RedisConnection.config("CACHE_URL").pipe(
 *   Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["CACHE_URL", "redis://:secret@redis.internal:6379"]]))),
 *   Effect.runPromise
 * ).then((url) => console.log(String(url))) // <redacted>
 * ```
 */
export const config = (name = "REDIS_URL"): Config.Config<Redacted.Redacted> =>
  Config.mapOrFail(Config.redacted(name), (url) =>
    Either.mapBoth(validate(Redacted.value(url)), {
      onLeft: (why) => ConfigError.InvalidData([name], why),
      onRight: () => url
    }))

// Nothing is kept to be sent later: by then nobody waits for it.
const patience: RedisOptions = {
  connectTimeout: 5000,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  // A server that hangs, or a route that is gone.
  socketTimeout: 5000,
  keepAlive: 30_000,
  retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2000) * (0.75 + Math.random() / 2),
  // A primary that has become a replica: the address may lead to another by now.
  reconnectOnError: (error) => error.message.startsWith("READONLY")
}

const open = (options: Options): Redis => {
  // What ioredis 6 makes of answers in RESP3 changes none that is asked for here.
  const all: Omit<RedisOptions, "replyMapping"> = { ...patience, ...options.ioredis }
  if (options.url === undefined) return options.ioredis === undefined ? new Redis(LOCAL, all) : new Redis(all)
  const url = typeof options.url === "string" ? options.url : Redacted.value(options.url)
  return new Redis(Either.getOrThrowWith(validate(url), (why) => new RangeError(why)), all)
}

/**
 * Connects in the background, so that it neither waits nor fails where Redis is away, and closes with the scope. A URL
 * that is none is a defect.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { RedisConnection, RedisLimiter, RedisTokenStore } from "@effect-dingtalk/store-redis"
 * import { Effect, Layer } from "effect"
 *
 * // one connection for both
 * const shared = RedisConnection.make({ url: "redis://redis.internal:6379" }).pipe(
 *   Effect.map((client) =>
 *     Layer.merge(
 *       RedisTokenStore.layerClient(Effect.succeed(client)),
 *       RedisLimiter.layerClient(Effect.succeed(client))
 *     )
 *   ),
 *   Layer.unwrapScoped
 * )
 * console.log(Layer.isLayer(shared)) // true
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<Redis, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const client = open(options)
      // Without a listener ioredis prints them.
      client.on("error", (error) => Command.remember(client, error))
      client.on("ready", () => Command.remember(client, undefined))
      return client
    }),
    (client) =>
      Effect.promise(async () => {
        // What is under way may end; who hangs is not waited for.
        if (client.status === "ready") {
          let timer: ReturnType<typeof setTimeout> | undefined
          await Promise.race([
            client.quit().catch(() => undefined),
            new Promise((resolve) => timer = setTimeout(resolve, 500))
          ])
          clearTimeout(timer)
        }
        client.disconnect()
      })
  )
