/**
 * Tokens in Redis, so that processes share them: what is compared is compared in Redis, in one step, and all times are
 * by its clock.
 *
 * Each script touches one key: it works on a cluster as it does on one server.
 *
 * @since 0.1.0
 */
import * as TokenCipher from "@effect-dingtalk/auth/TokenCipher"
import * as TokenStore from "@effect-dingtalk/auth/TokenStore"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Command from "./internal/command.js"
import { fromEnvironment, PREFIX } from "./internal/settings.js"
import * as RedisConnection from "./RedisConnection.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface StoreOptions extends TokenStore.Options {
  /** what all keys begin with; `dingtalk:` unless it says otherwise */
  readonly prefix?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends StoreOptions, RedisConnection.Options {}

// A row is `row1 <version> <text>`; whatever else is there counts as none, of whatever type it is.
const WRITE = /*#__PURE__*/ Command.script(`
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'table' and found.err and not string.find(found.err, 'WRONGTYPE', 1, true) then return found end
local version = type(found) == 'string' and string.match(found, '^row1 ([!-~]+) ')
if version == ARGV[2] then return 1 end
if (version and 'is ' .. version or 'none') ~= ARGV[1] then return 0 end
if ARGV[4] == '0' then
  redis.call('DEL', KEYS[1])
elseif ARGV[4] == '' then
  redis.call('SET', KEYS[1], 'row1 ' .. ARGV[2] .. ' ' .. ARGV[3])
else
  redis.call('SET', KEYS[1], 'row1 ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
end
return 1
`)

// No lease lasts for ever: what has no end was not written here.
const ACQUIRE = /*#__PURE__*/ Command.script(`
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'table' and found.err and not string.find(found.err, 'WRONGTYPE', 1, true) then return found end
local mine = 'lease1 ' .. ARGV[1]
if type(found) == 'string' and found ~= mine and string.sub(found, 1, 7) == 'lease1 '
  and redis.call('PTTL', KEYS[1]) >= 0 then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], mine, 'PX', ARGV[2]) end
return 1
`)

const RELEASE = /*#__PURE__*/ Command.script(`
if redis.pcall('GET', KEYS[1]) == 'lease1 ' .. ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`)

const ROW = /^row1 ([!-~]+) (.*)$/s
const CENTURY = 100 * 366 * 86_400_000

/** In whole milliseconds; `undefined` for ever. */
const lifetime = (duration: Duration.Duration): number | undefined => {
  const millis = Math.ceil(Duration.toMillis(duration))
  return millis > CENTURY ? undefined : millis
}

/**
 * What the layers stand on, for a `TokenStore` of your own making.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { TokenStore } from "@effect-dingtalk/auth"
 * import { RedisConnection, RedisTokenStore } from "@effect-dingtalk/store-redis"
 * import { Effect, Layer } from "effect"
 *
 * const shared = Layer.scoped(
 *   TokenStore.TokenStore,
 *   RedisConnection.make({ url: "redis://redis.internal:6379" }).pipe(
 *     Effect.map((client) => RedisTokenStore.backing(client, "crm:dingtalk:")),
 *     // what you would add: counting, a second place to look
 *     Effect.map((backing) => ({ ...backing, read: (key: string) => Effect.withSpan(backing.read(key), "tokens") })),
 *     Effect.flatMap((backing) => TokenStore.make(backing))
 *   )
 * )
 * console.log(Layer.isLayer(shared)) // true
 * ```
 */
export const backing = (client: RedisConnection.Client, prefix = PREFIX): TokenStore.Backing => {
  // In braces, which are in no key: on a cluster the two of one token are side by side.
  const row = (key: string) => `${prefix}token:{${key}}`
  const lease = (key: string) => `${prefix}lease:{${key}}`
  const failing = (operation: TokenStore.TokenStoreError["operation"]) =>
    Effect.mapError((description: string) => new TokenStore.TokenStoreError({ operation, description }))
  return {
    read: (key) =>
      failing("read")(Effect.map(
        Command.send(client, () =>
          client.get(row(key)).catch((cause: unknown) => {
            if (cause instanceof Error && cause.message.startsWith("WRONGTYPE")) return null
            throw cause
          })),
        (found) => {
          const parts = found === null ? null : ROW.exec(found)
          return parts === null ? undefined : { version: parts[1]!, text: parts[2]! }
        }
      )),
    write: (key, { text, version }, { keepFor, replaces }) =>
      failing("write")(Effect.map(
        Command.run(client, WRITE, [row(key)], [
          replaces === undefined ? "none" : `is ${replaces}`,
          version,
          text,
          lifetime(keepFor) ?? ""
        ]),
        (written) => written === 1
      )),
    remove: (key) => failing("remove")(Effect.asVoid(Command.send(client, () => client.del(row(key))))),
    acquire: (key, owner, leaseFor) =>
      failing("acquire")(Effect.map(
        Command.run(client, ACQUIRE, [lease(key)], [owner, lifetime(leaseFor) ?? CENTURY]),
        (acquired) => acquired === 1
      )),
    release: (key, owner) => failing("release")(Effect.asVoid(Command.run(client, RELEASE, [lease(key)], [owner])))
  }
}

/**
 * On a connection of its own. Where Redis is away the Layer is built all the same: the store is down, and tokens do
 * without. It fails where an encryption key is none.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { TokenStore } from "@effect-dingtalk/auth"
 * import { RedisTokenStore } from "@effect-dingtalk/store-redis"
 * import { Layer } from "effect"
 *
 * const shared = Layer.scoped(TokenStore.TokenStore, RedisTokenStore.make({ url: "redis://redis.internal:6379" }))
 * console.log(Layer.isLayer(shared)) // true
 * ```
 */
export const make = (
  options: Options = {}
): Effect.Effect<TokenStore.Service, TokenStore.TokenStoreError, Scope.Scope> =>
  Effect.flatMap(RedisConnection.make(options), (client) => TokenStore.make(backing(client, options.prefix), options))

/**
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { RedisTokenStore } from "@effect-dingtalk/store-redis"
 * import { Layer } from "effect"
 *
 * const tokens = TokenService.layerConfig().pipe(
 *   Layer.provide(RedisTokenStore.layer({ url: "rediss://redis.internal:6379", prefix: "crm:dingtalk:" }))
 * )
 * console.log(Layer.isLayer(tokens)) // true
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError> =>
  Layer.scoped(TokenStore.TokenStore, make(options))

/**
 * Options out of `Config`; what is left out comes from the environment.
 *
 * @since 0.1.0
 * @category models
 */
export type Settings = { readonly [K in keyof Options]?: Config.Config.Wrap<Options[K]> }

const fromSettings = (config: Settings): Config.Config<Options> =>
  Config.unwrap(
    {
      ...fromEnvironment(),
      encryption: Config.withDefault(TokenCipher.config(), undefined),
      ...config
    } as Config.Config.Wrap<Options>
  )

/**
 * From `REDIS_URL`, `DINGTALK_REDIS_PREFIX` and `DINGTALK_TOKEN_STORE_KEYS`, of which the last encrypts, but for what
 * you give.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenCipher } from "@effect-dingtalk/auth"
 * import { RedisConnection, RedisTokenStore } from "@effect-dingtalk/store-redis"
 * import { Layer } from "effect"
 *
 * const byDefault = RedisTokenStore.layerConfig()
 * const ours = RedisTokenStore.layerConfig({
 *   url: RedisConnection.config("CACHE_URL"),
 *   // must be there
 *   encryption: TokenCipher.config("CACHE_KEYS")
 * })
 * console.log(Layer.isLayer(byDefault), Layer.isLayer(ours)) // true true
 * ```
 */
export const layerConfig = (
  config: Settings = {}
): Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError | ConfigError> =>
  Layer.scoped(TokenStore.TokenStore, Effect.flatMap(fromSettings(config), make))

/**
 * On a client that you have, which stays yours. Nothing is put into its offline queue: while it is not connected the
 * store is down.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { RedisTokenStore } from "@effect-dingtalk/store-redis"
 * import { Effect, Layer } from "effect"
 * import { Cluster } from "ioredis"
 *
 * const cluster = Effect.acquireRelease(
 *   Effect.sync(() => new Cluster([{ host: "redis-1.internal", port: 6379 }], { lazyConnect: true })),
 *   (client) => Effect.sync(() => client.disconnect())
 * )
 * console.log(Layer.isLayer(RedisTokenStore.layerClient(cluster))) // true
 * ```
 */
export const layerClient = <E = never, R = never>(
  client: Effect.Effect<RedisConnection.Client, E, R>,
  options: StoreOptions = {}
): Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError | E, Exclude<R, Scope.Scope>> =>
  Layer.scoped(
    TokenStore.TokenStore,
    Effect.flatMap(client, (client) => TokenStore.make(backing(client, options.prefix), options))
  )
