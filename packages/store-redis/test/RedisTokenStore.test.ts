/**
 * Tokens in a real Redis: what every store promises, and what only Redis can do wrong.
 */
import { TokenStore } from "@effect-dingtalk/auth"
import { RedisConnection, RedisTokenStore } from "@effect-dingtalk/store-redis"
import { afterAll, assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Config,
  ConfigProvider,
  Duration,
  Effect,
  Encoding,
  Exit,
  Layer,
  Logger,
  LogLevel,
  Redacted
} from "effect"
import {
  encryptionKey,
  row,
  shown,
  token,
  tokenStoreContract,
  unusedName
} from "../../auth/test/contract/tokenStore.js"
import * as Server from "./redis.js"

const prefix = Server.unusedPrefix()
const hour = Duration.hours(1)

Server.withRedis(() => {
  afterAll(() => Effect.runPromise(Server.clear(prefix)))

  const open = Effect.map(
    RedisConnection.make({ url: Server.url }),
    (client) => RedisTokenStore.backing(client, prefix)
  )

  // They wait for rows and leases to end: all at once.
  describe.concurrent("as every store", () =>
    tokenStoreContract("Redis", {
      clock: "live",
      open,
      broken: Effect.gen(function*() {
        return RedisTokenStore.backing(yield* RedisConnection.make({ url: yield* Server.nobody }), prefix)
      }),
      corrupt: (key, how) =>
        Effect.scoped(Effect.gen(function*() {
          const redis = yield* Server.client()
          const name = `${prefix}token:{${key}}`
          const before = (yield* Effect.promise(() => redis.get(name))) ?? ""
          const after = how === "garbage" ? "\0\xff garbage" : how === "empty" ? "" : before.slice(0, before.length / 2)
          yield* Effect.promise(() => redis.set(name, after))
        })),
      raw: Effect.scoped(Effect.gen(function*() {
        const redis = yield* Server.client()
        const keys = yield* Server.keysOf(redis, prefix)
        const dumps = yield* Effect.promise(() =>
          Promise.all(keys.map(async (key) => {
            const type = await redis.type(key)
            return `${key} ${type === "string" ? await redis.get(key) : type} ${
              (await redis.dumpBuffer(key))?.toString("latin1")
            }`
          }))
        )
        return dumps.join("\n")
      }))
    }))

  describe("in Redis", () => {
    const behind = Effect.all([open, Server.client()])

    it.scopedLive("a row of another type counts as none, and is overwritten; so does what never was a lease", () =>
      Effect.gen(function*() {
        const [backing, redis] = yield* behind
        const others = {
          list: (key: string) => redis.rpush(key, "a"),
          set: (key: string) => redis.sadd(key, "a"),
          hash: (key: string) => redis.hset(key, "a", "b"),
          zset: (key: string) => redis.zadd(key, 1, "a"),
          stream: (key: string) => redis.xadd(key, "*", "a", "b"),
          text: (key: string) => redis.set(key, "hello world"),
          bytes: (key: string) => redis.set(key, Buffer.from([0, 255, 10, 13, 0])),
          marked: (key: string) => redis.set(key, "row1 "),
          lease: (key: string) => redis.set(key, "lease1 nobody")
        }
        for (const [type, plant] of Object.entries(others)) {
          const key = `${type}-${row().version}`
          yield* Effect.promise(async () => {
            await plant(`${prefix}token:{${key}}`)
            await plant(`${prefix}lease:{${key}}`)
          })
          assert.isUndefined(yield* backing.read(key), type)
          assert.isFalse(yield* backing.write(key, row(), { replaces: "hello", keepFor: hour }), type)
          const written = row()
          assert.isTrue(yield* backing.write(key, written, { replaces: undefined, keepFor: hour }), type)
          assert.deepStrictEqual(yield* backing.read(key), written)
          yield* backing.release(key, "a")
          assert.isTrue(yield* backing.acquire(key, "a", hour), type)
          assert.isFalse(yield* backing.acquire(key, "b", hour), type)
        }
      }))

    it.scopedLive("rows and leases end by themselves, when they should", () =>
      Effect.gen(function*() {
        const [backing, redis] = yield* behind
        const ttl = (kind: string, key: string) => Effect.promise(() => redis.pttl(`${prefix}${kind}:{${key}}`))
        for (
          const [millis, least, most] of [
            [7_200_000, 7_190_000, 7_200_000],
            [1500.4, 1000, 1501],
            [Infinity, -1, -1],
            [1e300, -1, -1],
            [1e15, -1, -1],
            [0, -2, -2],
            [-5, -2, -2],
            [Number.NaN, -2, -2]
          ] as const
        ) {
          const key = `ttl-${row().version}`
          const keepFor = Duration.millis(millis)
          assert.isTrue(yield* backing.write(key, row(), { replaces: undefined, keepFor }))
          const left = yield* ttl("token", key)
          assert.isTrue(left >= least && left <= most, `${millis}: ${left}`)
          assert.isTrue(yield* backing.acquire(key, "a", keepFor))
          const lease = yield* ttl("lease", key)
          if (most === -1) assert.isAbove(lease, 1e12)
          else assert.isTrue(lease >= least && lease <= most, `${millis}: ${lease}`)
        }
      }))

    it.scopedLive("a write that is sent twice is written once, and has been", () =>
      Effect.gen(function*() {
        const backing = yield* open
        const written = row()
        for (let i = 0; i < 2; i++) {
          assert.isTrue(yield* backing.write(written.version, written, { replaces: undefined, keepFor: hour }))
        }
        assert.deepStrictEqual(yield* backing.read(written.version), written)
      }))

    it.scopedLive("scripts are loaded again after the server forgot them", () =>
      Effect.gen(function*() {
        const [backing, redis] = yield* behind
        for (let i = 0; i < 3; i++) {
          yield* Effect.promise(() => redis.script("FLUSH"))
          const key = row().version
          const results = yield* Effect.all([
            backing.write(key, row(), { replaces: undefined, keepFor: hour }),
            backing.acquire(key, "a", hour),
            backing.acquire(key, "b", hour),
            backing.release(key, "a")
          ])
          assert.deepStrictEqual(results.slice(0, 3), [true, true, false])
          assert.isTrue(yield* backing.acquire(key, "b", hour))
        }
      }))

    it.scopedLive("of several processes exactly one writes, and exactly one has the lease", () =>
      Effect.gen(function*() {
        const rounds = 100
        const own = `${prefix}race:`
        const names = ["a", "b", "c"]
        const racers = yield* Effect.all(
          names.map((name) => Server.child("racer", { url: Server.url, prefix: own, name, rounds })),
          { concurrency: "unbounded" }
        )
        yield* Effect.all(racers.map(({ go }) => go))
        const results = yield* Effect.all(racers.map(({ result }) => result), { concurrency: "unbounded" })
        const won = results as Array<{ readonly rows: Array<number>; readonly leases: Array<number> }>
        const all = Array.from({ length: rounds }, (_, round) => round)
        const sorted = (numbers: Array<number>) => numbers.sort((a, b) => a - b)
        assert.deepStrictEqual(sorted(won.flatMap(({ rows }) => rows)), all)
        assert.deepStrictEqual(sorted(won.flatMap(({ leases }) => leases)), all)
        const redis = yield* Server.client()
        const backing = RedisTokenStore.backing(redis, own)
        for (const [i, { rows }] of won.entries()) {
          for (const round of rows) assert.strictEqual((yield* backing.read(`row-${round}`))?.text, `of ${names[i]}`)
        }
      }))

    it.scopedLive("no refusal of Redis shows what was written", () =>
      Effect.gen(function*() {
        const redis = yield* Server.client()
        const secret = `sentinel-${row().version}`
        const failing = (message: string) =>
          new Proxy(redis, {
            get: (target, property) =>
              property === "evalsha" || property === "get"
                ? (...args: ReadonlyArray<unknown>) =>
                  Promise.reject(Object.assign(new Error(`${message} ${args.join(" ")}`), {
                    name: "ReplyError",
                    command: { name: "evalsha", args }
                  }))
                : Reflect.get(target, property, target)
          })
        yield* Effect.promise(() => redis.ping())
        for (
          const [message, expected] of [
            ["ERR unknown command 'evalsha', with args beginning with:", "ERR"],
            ["OOM command not allowed", "its memory is full (OOM)"],
            [
              "READONLY You can't write against a read only replica.",
              "it is a replica, and accepts no writes (READONLY)"
            ],
            ["LOADING Redis is loading", "it is loading its data (LOADING)"],
            ["MOVED 3999 127.0.0.1:6381", "this server is one of a cluster, and has to be given as one (MOVED)"],
            ["what ever", "Redis refused"]
          ] as const
        ) {
          const store = yield* TokenStore.make(RedisTokenStore.backing(failing(message), prefix))
          const exit = yield* Effect.exit(store.write(unusedName(), token(secret), { replaces: undefined }))
          assert(Exit.isFailure(exit) && exit.cause._tag === "Fail")
          assert.strictEqual(exit.cause.error.description, expected)
          assert.notInclude(shown(exit.cause) + shown(exit.cause.error), secret)
        }
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)))
  })

  describe("layers", () => {
    const roundTrip = Effect.gen(function*() {
      const store = yield* TokenStore.TokenStore
      const name = unusedName()
      const secret = `sentinel-${row().version}`
      assert.isString(yield* store.write(name, token(secret), { replaces: undefined, keepFor: hour }))
      assert.strictEqual(Redacted.value((yield* store.read(name)).token!.value), secret)
      const redis = yield* Server.client()
      return { secret, raw: yield* Effect.promise(() => redis.get(`${prefix}token:{${TokenStore.nameOf(name)}}`)) }
    }).pipe(Effect.scoped)

    it.live("a URL, and what all keys begin with", () =>
      Effect.gen(function*() {
        const { raw, secret } = yield* roundTrip
        assert.include(raw, secret)
      }).pipe(Effect.provide(RedisTokenStore.layer({ url: Redacted.make(Server.url), prefix }))))

    it.live("from the environment, encrypted", () =>
      Effect.gen(function*() {
        const { raw, secret } = yield* roundTrip
        assert.include(raw, "aes256gcm.k1.")
        for (const hidden of [secret, Encoding.encodeBase64(secret), Encoding.encodeHex(secret)]) {
          assert.notInclude(raw, hidden)
        }
      }).pipe(
        Effect.provide(RedisTokenStore.layerConfig()),
        Effect.withConfigProvider(ConfigProvider.fromMap(
          new Map([
            ["REDIS_URL", Server.url],
            ["DINGTALK_REDIS_PREFIX", prefix],
            ["DINGTALK_TOKEN_STORE_KEYS", `k1:${Redacted.value(encryptionKey("k1").secret)}`]
          ])
        ))
      ))

    it.live("what is given replaces one setting, and no other: above all not the encryption", () =>
      Effect.gen(function*() {
        const { raw } = yield* roundTrip
        assert.include(raw, "aes256gcm.k1.")
      }).pipe(
        Effect.provide(RedisTokenStore.layerConfig({ prefix: Config.succeed(prefix) })),
        Effect.withConfigProvider(ConfigProvider.fromMap(
          new Map([
            ["REDIS_URL", Server.url],
            ["DINGTALK_TOKEN_STORE_KEYS", `k1:${Redacted.value(encryptionKey("k1").secret)}`]
          ])
        ))
      ))

    it.scopedLive("a client that one has stays open, and needs not be connected yet", () =>
      Effect.gen(function*() {
        const redis = yield* Effect.acquireRelease(
          Effect.map(Server.client(), (redis) => redis.duplicate({ lazyConnect: true })),
          (redis) => Effect.sync(() => redis.disconnect())
        )
        yield* Effect.provide(roundTrip, RedisTokenStore.layerClient(Effect.succeed(redis), { prefix }))
        assert.strictEqual(yield* Effect.promise(() => redis.ping()), "PONG")
      }))

    for (const setting of ["http://127.0.0.1:6379", "sentinel", "", "redis://user:sentinel@127.0.0.1:port"]) {
      it.live(`"${setting}" is no URL: said at once, and not shown`, () =>
        Effect.gen(function*() {
          const configured = yield* Effect.exit(Effect.provide(roundTrip, RedisTokenStore.layerConfig())).pipe(
            Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["REDIS_URL", setting]])))
          )
          const given = yield* Effect.exit(Effect.provide(roundTrip, RedisTokenStore.layer({ url: setting })))
          for (const exit of [configured, given]) {
            assert(Exit.isFailure(exit))
            assert.include(Cause.pretty(exit.cause), "a Redis URL must be like")
            assert.notInclude(shown(exit.cause), "sentinel")
          }
        }))
    }

    it.live("a key that is none is an error of the Layer", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Layer.build(RedisTokenStore.layer({
          url: Server.url,
          encryption: { keys: [{ id: "k1", secret: Redacted.make("short") }] }
        })))
        assert.strictEqual(error.operation, "open")
      }).pipe(Effect.scoped))
  })
})

Server.withServers(() => {
  describe("while Redis", () => {
    const key = unusedName()
    const quiet = Logger.withMinimumLogLevel(LogLevel.None)
    const store = (url: string, options: TokenStore.Options = {}) =>
      RedisTokenStore.make({
        url,
        ...options,
        timeout: options.timeout ?? "3 seconds",
        coolDown: options.coolDown ?? "10 millis"
      })
    const works = (service: TokenStore.Service, name = key) =>
      Effect.gen(function*() {
        const { version } = yield* service.read(name)
        return yield* service.write(name, token("value"), { replaces: version, keepFor: hour })
      })
    const untilItWorks = (service: TokenStore.Service) =>
      Effect.gen(function*() {
        for (;;) {
          const result = yield* Effect.either(works(service, unusedName()))
          if (result._tag === "Right" && result.right !== undefined) return
          yield* Effect.sleep("20 millis")
        }
      }).pipe(Effect.timeout("10 seconds"))

    it.scopedLive("has never been there, the store is down, at once; and works when it comes", () =>
      Effect.gen(function*() {
        const server = yield* Server.server()
        yield* server.kill
        const start = performance.now()
        const service = yield* store(server.url)
        assert.isBelow(performance.now() - start, 1000)
        const error = yield* Effect.flip(works(service))
        assert.include(error.description, "not connected")
        assert.isBelow(performance.now() - start, 2000)
        yield* server.start
        yield* untilItWorks(service)
      }).pipe(quiet))

    it.scopedLive("is killed under load, everything ends in time; started again, it works again", () =>
      Effect.gen(function*() {
        const server = yield* Server.server()
        const service = yield* store(server.url)
        assert.isString(yield* works(service))
        const load = yield* Effect.fork(Effect.forEach(
          Array.from({ length: 2000 }),
          () => Effect.either(works(service, unusedName())),
          { concurrency: 50 }
        ))
        yield* Effect.sleep("30 millis")
        yield* server.kill
        const results = yield* Effect.timeout(load, "5 seconds")
        assert.isTrue(results.some(({ _tag }) => _tag === "Left"))
        yield* server.start
        yield* untilItWorks(service)
      }).pipe(quiet))

    it.scopedLive("hangs, an operation takes no longer than it may, closing neither; it goes on when Redis does", () =>
      Effect.gen(function*() {
        const server = yield* Server.server()
        const service = yield* store(server.url, { timeout: "300 millis" })
        yield* untilItWorks(service)
        yield* server.hang
        const start = performance.now()
        const error = yield* Effect.flip(works(service))
        assert.include(error.description, "no answer within 300ms")
        assert.isBelow(performance.now() - start, 1000)
        const other = yield* Effect.scoped(
          Effect.flatMap(store(server.url, { timeout: "100 millis" }), (service) => Effect.flip(works(service)))
        )
        assert.include(other.description, "no answer")
        assert.isBelow(performance.now() - start, 2000)
        yield* server.go
        yield* untilItWorks(service)
      }).pipe(quiet))

    it.scopedLive("is a replica, what is there can be read, and writes say why not", () =>
      Effect.gen(function*() {
        const primary = yield* Server.server("--repl-diskless-sync-delay", "0")
        const replica = yield* Server.server("--replicaof", "127.0.0.1", String(primary.port))
        const [writer, reader] = yield* Effect.all([store(primary.url), store(replica.url)])
        assert.isString(yield* works(writer))
        const found = yield* Effect.iterate(undefined as string | undefined, {
          while: (found) => found === undefined,
          body: () =>
            Effect.orElseSucceed(Effect.map(reader.read(key), ({ version }) => version), () => undefined).pipe(
              Effect.zipLeft(Effect.sleep("20 millis"))
            )
        }).pipe(Effect.timeout("10 seconds"))
        const error = yield* Effect.flip(reader.write(key, token("x"), { replaces: found, keepFor: hour }))
        assert.strictEqual(error.description, "it is a replica, and accepts no writes (READONLY)")
        // It has become the primary.
        const redis = yield* Server.client(replica.url)
        yield* Effect.promise(() => redis.replicaof("NO", "ONE"))
        yield* untilItWorks(reader)
      }).pipe(quiet))

    it.scopedLive("wants another password, says so, and shows none", () =>
      Effect.gen(function*() {
        const server = yield* Server.server("--requirepass", "right")
        for (const password of [":sentinel@", ""]) {
          const service = yield* store(server.url.replace("//", `//${password}`))
          const error = yield* Effect.flip(works(service))
          assert.match(error.description, /WRONGPASS|NOAUTH/)
          assert.notInclude(shown(error), "sentinel")
        }
        yield* untilItWorks(yield* store(server.url.replace("//", "//:right@")))
      }).pipe(quiet))

    it.scopedLive("is full, says so", () =>
      Effect.gen(function*() {
        const server = yield* Server.server("--maxmemory", "1", "--maxmemory-policy", "noeviction")
        const service = yield* store(server.url)
        const error = yield* Effect.flip(works(service))
        assert.strictEqual(error.description, "its memory is full (OOM)")
      }).pipe(quiet))

    it.scopedLive("is a cluster, a client for clusters works, and another says why it does not", () =>
      Effect.gen(function*() {
        const { client, nodes } = yield* Server.cluster
        yield* Effect.gen(function*() {
          const service = yield* TokenStore.TokenStore
          for (let i = 0; i < 30; i++) {
            const name = unusedName()
            assert.isString(yield* works(service, name))
            const lease = yield* service.lease(name)
            assert.isUndefined(yield* service.lease(name))
            yield* lease!.release
          }
        }).pipe(Effect.provide(RedisTokenStore.layerClient(Effect.succeed(client), { timeout: "5 seconds" })))
        const single = yield* store(nodes[0].url)
        const errors = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => Effect.zipLeft(Effect.either(works(single, unusedName())), Effect.sleep("12 millis"))
        )
        assert.isTrue(errors.some((either) => either._tag === "Left" && either.left.description.includes("(MOVED)")))
      }).pipe(quiet))
  })
})
