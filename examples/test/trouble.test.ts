import { SuiteTicket, ThirdPartyApp, TokenService, TokenStore, UserSessions } from "@effect-dingtalk/auth"
import { Contact, Hosts, Organizations } from "@effect-dingtalk/core"
import { Emulator, EmulatorServer, Fault, SuiteTicket as Pushed } from "@effect-dingtalk/emulator"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Either, Layer, Logger, LogLevel, Queue, Redacted } from "effect"
import type { Scope } from "effect"
import { Redis } from "ioredis"
import { randomBytes, randomUUID } from "node:crypto"
import { chmodSync, existsSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { exclusively } from "./exclusive.js"
import * as Process from "./trouble-process.js"
import * as Servers from "./trouble-servers.js"
import * as Store from "./trouble-store.js"

exclusively()

const DATABASE_URL = process.env["DATABASE_URL"] ?? "postgres://root@127.0.0.1:5432/test"
const REDIS_URL = process.env["REDIS_URL"] ?? "redis://127.0.0.1:6379"

const hasPostgres = await Servers.isThere(DATABASE_URL, 5432)
const hasRedis = await Servers.isThere(REDIS_URL, 6379)
if (process.env["CI"] !== undefined && !(hasPostgres && hasRedis)) {
  throw new Error("PostgreSQL or Redis is not there, and CI is set")
}

/** Runs them, or says why not. */
const when = (isThere: boolean, what: string, tests: () => void) => {
  if (isThere) tests()
  else it.skip(`skipped: ${what}`, () => {})
}

// What is said of the store is not the question here.
const quiet = Logger.minimumLogLevel(LogLevel.Error)

const LIFE = 2500

const platform = EmulatorServer.layer({ port: 0 }).pipe(
  Layer.provideMerge(Emulator.layer({ tokenLifetime: LIFE, requestLog: 100_000 }))
)

const setting = Layer.merge(platform, quiet)

/** A process like the others, but for being this one. */
const here = (url: string, place: Store.Place) =>
  DingTalkHttp.layer({ limiter: false }).pipe(
    Layer.provideMerge(
      TokenService.layer({ clientId: "dingquickstart", clientSecret: Redacted.make("quickstart-secret") })
    ),
    Layer.provideMerge(Store.layer(place)),
    Layer.provide(HttpTransport.layer({ hosts: Either.getOrThrow(Hosts.single(url)) })),
    Layer.provide(NodeHttpClient.layerUndici)
  )

const thirdParty = (url: string, place: Store.Place) =>
  DingTalkHttp.layerOrganizations({ limiter: false }).pipe(
    Layer.provideMerge(ThirdPartyApp.layer({
      clientId: "suitequickstart",
      clientSecret: Redacted.make("suite-quickstart-secret")
    })),
    Layer.provide(Store.layer(place)),
    Layer.provide(HttpTransport.layer({ hosts: Either.getOrThrow(Hosts.single(url)) })),
    Layer.provide(NodeHttpClient.layerUndici)
  )

const unusedName = () => `trouble_${randomUUID().slice(0, 8)}`

const inRedis = <A>(url: string, use: (redis: Redis) => Promise<A>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Redis(url).on("error", () => {})),
    (redis) => Effect.promise(() => use(redis)),
    (redis) => Effect.sync(() => redis.disconnect())
  )

const keysIn = async (redis: Redis, name: string): Promise<ReadonlyArray<string>> => {
  const keys: Array<string> = []
  for await (const some of redis.scanStream({ match: `${name}:*`, count: 1000 })) keys.push(...some as Array<string>)
  return keys
}

interface Trouble {
  readonly name: string
  readonly make: Effect.Effect<unknown, unknown, Scope.Scope>
}

/** A process calls all the while, and the store has one trouble after another. */
const withstands = (
  kind: Store.Place["kind"],
  prepare: (
    name: string
  ) => Effect.Effect<{ readonly url: string; readonly troubles: ReadonlyArray<Trouble> }, unknown, Scope.Scope>
) =>
  Effect.gen(function*() {
    const emulator = yield* Emulator.Emulator
    const { url } = yield* EmulatorServer.EmulatorServer
    const name = unusedName()
    const prepared = yield* prepare(name)
    const place: Store.Place = { kind, url: prepared.url, name }
    const key: TokenStore.Key = { host: url, clientId: "dingquickstart", kind: "app" }
    const fetches = emulator.count({ endpoint: "oauth2.getAccessToken" })

    /** Until what was fetched after this moment is in the store. */
    const untilStored = (life: number) =>
      Effect.gen(function*() {
        const since = yield* Clock.currentTimeMillis
        const store = yield* TokenStore.TokenStore
        for (;;) {
          const found = yield* Effect.either(store.read(key))
          const token = found._tag === "Right" ? found.right.token : undefined
          if (token !== undefined && token.issuedAt > since && token.expiresAt - token.issuedAt >= life) return
          yield* Effect.sleep("50 millis")
        }
      }).pipe(
        Effect.provide(Store.layer(place)),
        Effect.timeoutFail({ duration: "20 seconds", onTimeout: () => "the store is not used again" })
      )

    const worker = yield* Process.start({ place }, url)
    yield* worker.go
    yield* untilStored(LIFE)
    for (const trouble of prepared.troubles) {
      yield* trouble.make
      yield* Effect.mapError(untilStored(LIFE), (why) => `${trouble.name}: ${why}`)
    }
    yield* emulator.setTokenLifetime("2 hours")
    yield* untilStored(3_600_000)

    const before = yield* fetches
    const restarted = yield* Process.start({ place }, url)
    yield* restarted.go
    yield* Effect.sleep("200 millis")
    for (const { stop } of [restarted, worker]) {
      const { calls, failures, lag, longest } = (yield* stop)!
      assert.deepStrictEqual(failures, [])
      assert.isAbove(calls, 0)
      assert.isBelow(longest, 2000 + lag)
    }
    assert.strictEqual(yield* fetches, before)
    const at = (yield* emulator.requests).filter((entry) => entry.endpoint === "oauth2.getAccessToken")
    for (let i = 1; i < at.length; i++) assert.isAbove(at[i]!.at - at[i - 1]!.at, LIFE / 4)
  }).pipe(Effect.provide(setting))

const redisTroubles = (name: string) =>
  Effect.gen(function*() {
    const { go, hang, kill, start, url } = yield* Servers.redis
    const overwrite = (text: string) =>
      inRedis(url, async (redis) => {
        for (const key of await keysIn(redis, name)) await redis.set(key, text)
      })
    const troubles: ReadonlyArray<Trouble> = [
      { name: "killed", make: Effect.zipRight(Effect.delay(kill, 100), Effect.delay(start, 1000)) },
      { name: "hangs", make: Effect.zipRight(hang, Effect.delay(go, 5000)) },
      {
        name: "a replica",
        make: Effect.zipRight(
          inRedis(url, (redis) => redis.replicaof("127.0.0.1", 1)),
          Effect.delay(inRedis(url, (redis) => redis.call("REPLICAOF", "NO", "ONE")), 1500)
        )
      },
      { name: "garbage", make: overwrite("row1 AAAAAAAAAAAAAAAAAAAAAA {\"value\":") }
    ]
    return { url, troubles }
  })

const postgresTroubles = (name: string) =>
  Effect.gen(function*() {
    const { start, stop, url } = yield* Servers.postgres
    const readOnly = (value: "on" | "off") =>
      Servers.inPostgres(url, (sql) =>
        sql`SET default_transaction_read_only = off`.pipe(
          Effect.zipRight(sql.unsafe(`ALTER SYSTEM SET default_transaction_read_only = ${value}`)),
          Effect.zipRight(sql`SELECT pg_reload_conf()`)
        ))
    const troubles: ReadonlyArray<Trouble> = [
      { name: "stopped", make: Effect.zipRight(stop, Effect.delay(start, 1000)) },
      { name: "read only", make: Effect.zipRight(readOnly("on"), Effect.delay(readOnly("off"), 1500)) },
      {
        name: "locked",
        make: Servers.inPostgres(url, (sql) =>
          sql.withTransaction(
            Effect.zipRight(sql`LOCK TABLE ${sql(name)} IN ACCESS EXCLUSIVE MODE`, Effect.sleep(5000))
          ))
      },
      {
        name: "garbage",
        make: Servers.inPostgres(url, (sql) => sql`UPDATE ${sql(name)} SET body = 'garbage' WHERE kind = 'token'`)
      }
    ]
    return { url, troubles }
  })

const fileTroubles = () =>
  Effect.gen(function*() {
    const isRoot = process.getuid!() === 0
    const url = join(yield* Servers.directory(isRoot ? 65_534 : undefined), "tokens")
    const troubles: ReadonlyArray<Trouble> = [
      {
        name: "truncated",
        make: Effect.sync(() => {
          for (const entry of readdirSync(url, { recursive: true, encoding: "utf8" })) {
            const file = join(url, entry)
            // It is alive: what was listed may be gone.
            if (existsSync(file) && statSync(file).isFile()) truncateSync(file)
          }
        })
      },
      {
        name: "forbidden",
        make: Effect.zipRight(
          Effect.sync(() => chmodSync(url, 0o000)),
          Effect.delay(Effect.sync(() => chmodSync(url, 0o700)), 1500)
        )
      },
      { name: "deleted", make: Effect.sync(() => rmSync(url, { recursive: true, force: true, maxRetries: 10 })) }
    ]
    return { url, troubles }
  })

/** Who is signed in, as every process finds it in the store. */
const signedIn = (url: string, place: Store.Place) =>
  Effect.gen(function*() {
    const emulator = yield* Emulator.Emulator
    yield* emulator.setTokenLifetime("2 hours")
    const id = `cookie-${randomUUID()}`
    const authCode = yield* emulator.consent({ userid: "zhangsan" })
    const signIn = Effect.flatMap(UserSessions.signIn({ id, authCode }), ({ tokens }) => tokens)
    const tokens = yield* Effect.provide(signIn, here(url, place))
    const exchanges = Effect.map(emulator.requests, (entries) =>
      entries.filter(({ endpoint }) => endpoint === "oauth2.getUserToken").map(({ status }) => status))
    return { emulator, id, tokens, exchanges }
  })

const together = (place: Store.Place) =>
  Effect.gen(function*() {
    const { url } = yield* EmulatorServer.EmulatorServer
    const { emulator, exchanges, id, tokens } = yield* signedIn(url, place)
    const two = yield* Effect.all([1, 2].map(() => Process.start({ place, session: id }, url)), { concurrency: 2 })
    yield* emulator.expireTokens
    yield* emulator.failNext(Fault.delay("300 millis"), { matching: { endpoint: "oauth2.getUserToken" } })
    for (const { go } of two) yield* go
    const [one, other] = yield* Effect.all(two.map(({ outcome }) => outcome), { concurrency: 2 })
    assert.deepStrictEqual([...one!.failures, ...other!.failures], [])
    assert.deepStrictEqual(one!.tokens, other!.tokens)
    assert.notInclude(one!.tokens!, Process.digest(tokens.accessToken))
    assert.deepStrictEqual(yield* exchanges, [200, 200])
  }).pipe(Effect.provide(setting))

const killed = (place: Store.Place, isSpent: boolean) =>
  Effect.gen(function*() {
    const proxy = yield* Servers.proxy((yield* EmulatorServer.EmulatorServer).url)
    const { emulator, exchanges, id, tokens } = yield* signedIn(proxy.url, place)
    const start = Process.start({ place, session: id }, proxy.url)
    const [first, second] = yield* Effect.all([start, start], { concurrency: 2 })
    yield* emulator.expireTokens
    if (isSpent) yield* proxy.holdBack("/v1.0/oauth2/userAccessToken")
    else yield* emulator.failNext(Fault.delay("30 seconds"), { matching: { endpoint: "oauth2.getUserToken" } })
    yield* first.go
    while (isSpent ? proxy.held() === 0 : (yield* exchanges).length < 2) yield* Effect.sleep("10 millis")
    yield* second.go
    yield* first.kill
    yield* proxy.letGo
    const outcome = (yield* second.outcome)!
    assert.isBelow(outcome.longest, 10_500 + outcome.lag)
    if (isSpent) {
      assert.deepStrictEqual(outcome.failures, ["SignInRequired"])
      assert.deepStrictEqual(yield* exchanges, [200, 200, 400])
    } else {
      assert.deepStrictEqual(outcome.failures, [])
      assert.notInclude(outcome.tokens!, Process.digest(tokens.accessToken))
      assert.deepStrictEqual(yield* exchanges, [200, undefined, 200])
    }
  }).pipe(Effect.provide(setting))

/** It gives back the right to fetch: whoever comes next need not wait until that ends. */
const stopped = (place: Store.Place) =>
  Effect.gen(function*() {
    const emulator = yield* Emulator.Emulator
    const { url } = yield* EmulatorServer.EmulatorServer
    yield* emulator.setTokenLifetime("2 hours")
    const endpoint = "oauth2.getAccessToken"
    yield* emulator.failNext(Fault.delay("30 seconds"), { matching: { endpoint } })
    const [first, second] = yield* Effect.all([Process.start({ place }, url), Process.start({ place }, url)], {
      concurrency: 2
    })
    yield* first.go
    while ((yield* emulator.count({ endpoint })) === 0) yield* Effect.sleep("10 millis")
    const since = yield* Clock.currentTimeMillis
    yield* first.end
    assert.isBelow((yield* Clock.currentTimeMillis) - since, 2000)
    yield* second.go
    const { failures, lag, longest } = (yield* second.stop)!
    assert.deepStrictEqual(failures, [])
    assert.isBelow(longest, 2000 + lag)
    assert.strictEqual(yield* emulator.count({ endpoint }), 2)
  }).pipe(Effect.provide(setting))

const secret = () => randomBytes(32).toString("base64")

/** Keys are replaced while two processes call; and all that a store may hold is in it. */
const rotates = (unsealed: Store.Place, dump: Effect.Effect<string>) =>
  Effect.gen(function*() {
    const { url } = yield* EmulatorServer.EmulatorServer
    const [old, next] = [`old:${secret()}`, `new:${secret()}`]
    const before = { ...unsealed, keys: old }
    const between = { ...unsealed, keys: `${old},${next}` }
    const after = { ...unsealed, keys: `${next},${old}` }
    const { emulator, exchanges, id, tokens } = yield* signedIn(url, before)

    const ticket = yield* Effect.gen(function*() {
      const pushed = yield* emulator.subscribe
      yield* emulator.pushSuiteTicket("suitequickstart")
      const event = yield* Queue.take(pushed)
      yield* SuiteTicket.receive(Pushed.toStream(event))
      yield* Organizations.within("dingpartnercorp")(Contact.getUser({ userid: "zhangsan" }))
      return event.suiteTicket
    }).pipe(Effect.scoped, Effect.provide(thirdParty(url, before)))

    const two = yield* Effect.all([between, after].map((place) => Process.start({ place, session: id }, url)), {
      concurrency: 2
    })
    yield* emulator.expireTokens
    for (const { go } of two) yield* go
    const [one, other] = yield* Effect.all(two.map(({ outcome }) => outcome), { concurrency: 2 })
    assert.deepStrictEqual([...one!.failures, ...other!.failures], [])
    assert.deepStrictEqual(one!.tokens, other!.tokens)
    assert.deepStrictEqual(yield* exchanges, [200, 200])

    // Sealed by the new key: who lacks it leaves the session as it is, for those who have it.
    const renewed = Effect.gen(function*() {
      const opened = yield* UserSessions.open({ id })
      yield* opened.invalidate((yield* opened.get).value)
      return yield* opened.get
    })
    yield* Effect.provide(renewed, here(url, after))
    const refused = yield* Effect.flip(Effect.provide(renewed, here(url, before)))
    assert.include(refused.message, "a key that is not given here")
    yield* Effect.provide(renewed, here(url, after))
    assert.deepStrictEqual(yield* exchanges, [200, 200, 200, 200])

    yield* emulator.setTokenLifetime(LIFE)
    const fetches = emulator.count({ endpoint: "oauth2.getAccessToken" })
    const known = yield* fetches
    const callers = yield* Effect.all([between, after].map((place) => Process.start({ place }, url)), {
      concurrency: 2
    })
    for (const { go } of callers) yield* go
    yield* Effect.sleep(2 * LIFE)
    const outcomes = yield* Effect.all(callers.map(({ stop }) => stop), { concurrency: 2 })
    assert.deepStrictEqual(outcomes.flatMap((outcome) => outcome!.failures), [])
    assert.isAtMost((yield* fetches) - known, 7)

    const dumped = yield* dump
    const app = { host: url, clientId: "dingquickstart", kind: "app" }
    // On a busy machine the store may need more than its second.
    const token = yield* Effect.provide(
      Effect.gen(function*() {
        const store = yield* TokenStore.TokenStore
        for (let i = 0; i < 15; i++) {
          const found = yield* Effect.either(store.read(app))
          if (Either.isRight(found) && found.right.token !== undefined) return found.right.token
          yield* Effect.sleep("1 second")
        }
        return assert.fail("the store has no token")
      }),
      Store.layer(after)
    )
    const session = yield* Effect.provide(
      Effect.flatMap(UserSessions.open({ id }), ({ tokens }) => tokens),
      here(url, after)
    )
    const secrets = [token.value, ticket, tokens.accessToken, tokens.refreshToken!, session.accessToken]
    for (const kind of ["app", "user", "suiteTicket", "authorized"]) assert.include(dumped, `/${kind}/`)
    assert.include(dumped, "aes256gcm.new.")
    for (const each of [...secrets.map(Redacted.value), Redacted.value(session.refreshToken!), id, old.slice(4)]) {
      assert.isAbove(each.length, 10)
      assert.notInclude(dumped, each)
    }
  }).pipe(Effect.provide(setting))

describe.concurrent("a process that calls all the while, and its store", () => {
  when(Servers.hasRedis, "redis-server is not installed", () => {
    it.scopedLive(
      "Redis: killed, hanging, a replica, full of garbage",
      () => withstands("redis", redisTroubles),
      60_000
    )
  })
  when(Servers.programs !== undefined, "PostgreSQL's server programs are not in /usr/lib/postgresql", () => {
    it.scopedLive(
      "PostgreSQL: stopped, read-only, locked, full of garbage",
      () => withstands("postgres", postgresTroubles),
      60_000
    )
  })
  it.scopedLive("files: truncated, forbidden, deleted", () => withstands("file", fileTroubles), 60_000)
})

for (
  const [kind, url, isThere] of [["postgres", DATABASE_URL, hasPostgres], ["redis", REDIS_URL, hasRedis]] as const
) {
  // Whether a thing is done once is the question here, not how long a busy machine takes.
  const names: Array<string> = []
  const place = (): Store.Place => {
    const name = unusedName()
    names.push(name)
    return { kind, url, name, timeout: "5 seconds" }
  }
  afterAll(async () => {
    if (kind === "redis") return
    const drop = names.map((name) => Servers.inPostgres(url, (sql) => sql`DROP TABLE IF EXISTS ${sql(name)}`))
    await Effect.runPromise(Effect.provide(Effect.all(drop), quiet))
  })

  describe.concurrent(`processes that share ${kind}`, () => {
    when(isThere, `${kind} does not answer at ${new URL(url).host}`, () => {
      it.scopedLive(
        "refresh one session at once: one exchange, and both have what it brings",
        () => together(place()),
        60_000
      )
      it.scopedLive(
        "one is killed before the platform has exchanged its refresh token: the other has a new session",
        () => killed(place(), false),
        60_000
      )
      it.scopedLive(
        "one is killed with the new tokens on the wire: the other asks for a sign-in",
        () => killed(place(), true),
        60_000
      )
      it.scopedLive(
        "one is told to end while it fetches: it does so at once, and leaves no lease behind",
        () => stopped(place()),
        60_000
      )
      it.scopedLive("replace their keys while they call, and nothing is in clear", () => {
        const unsealed = place()
        return rotates(
          unsealed,
          kind === "postgres" ? Servers.dump(url, unsealed.name) : inRedis(url, async (redis) => {
            const keys = await keysIn(redis, unsealed.name)
            return (await Promise.all(keys.map(async (key) => `${key} ${await redis.get(key)}`))).join("\n")
          })
        )
      }, 60_000)
    })
  })
}
