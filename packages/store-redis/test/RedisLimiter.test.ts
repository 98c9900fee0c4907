/**
 * The pace in a real Redis, of several limiters and several processes, in real time.
 */
import { TokenService } from "@effect-dingtalk/auth"
import { Contact, DingTalkError } from "@effect-dingtalk/core"
import { Emulator, EmulatorHttpClient } from "@effect-dingtalk/emulator"
import { DingTalkHttp, HttpTransport, Limiter } from "@effect-dingtalk/http"
import { RedisLimiter } from "@effect-dingtalk/store-redis"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Metric, Redacted } from "effect"
import { createServer } from "node:http"
import * as Server from "./redis.js"
import { lane, ledger, LIMIT, most, patient, unusedApp, WINDOW } from "./turns.js"

const prefix = Server.unusedPrefix()

const open = (options: RedisLimiter.Options = {}) => RedisLimiter.make({ url: Server.url, prefix, ...options })

const both = Effect.all([open(), open()])

const limited = (dimension: DingTalkError.RateLimited["dimension"], retryAfter: number) =>
  new DingTalkError.RateLimited({ endpoint: "contact.getUser", dimension, retryAfter: Duration.millis(retryAfter) })

const ban = (retryAfter: number) =>
  new DingTalkError.IpBanned({ endpoint: "contact.getUser", retryAfter: Duration.millis(retryAfter) })

Server.withRedis(() => {
  afterAll(() => Effect.runPromise(Server.clear(prefix)))

  describe("two processes", () => {
    it.scopedLive(
      "hold 20 a second together, as the platform counts: none is refused, and little time is lost",
      () =>
        Effect.gen(function*() {
          const seconds = new Map<number, number>()
          const times: Array<number> = []
          const target = yield* Effect.acquireRelease(
            Effect.async<ReturnType<typeof createServer>>((resume) => {
              const server = createServer((request, response) => {
                if (request.url === "/call") {
                  const now = performance.timeOrigin + performance.now()
                  const second = Math.floor(now / 1000)
                  const count = (seconds.get(second) ?? 0) + 1
                  seconds.set(second, count)
                  times.push(now)
                  response.statusCode = count > LIMIT ? 403 : 200
                }
                response.end()
              }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
            }),
            (server) => Effect.sync(() => server.close().closeAllConnections())
          )
          const { port } = target.address() as { readonly port: number }
          const children = yield* Effect.all(
            [0, 1].map(() =>
              Server.child("caller", {
                url: Server.url,
                prefix,
                target: `http://127.0.0.1:${port}`,
                app: "shared",
                count: 40,
                concurrency: 25,
                perSecond: LIMIT
              })
            ),
            { concurrency: "unbounded" }
          )
          yield* Effect.all(children.map(({ go }) => go))
          const results = yield* Effect.all(children.map(({ result }) => result), { concurrency: "unbounded" })
          assert.deepStrictEqual(results, [{ 200: 40 }, { 200: 40 }])
          assert.strictEqual(times.length, 80)
          const took = Math.max(...times) - Math.min(...times)
          // 20 at once, and one every 50 ms: 4 s. The window is 3.5 % longer.
          assert.isBelow(took, 4000 * 1.08)
          // As they arrive: a busy machine brings one later than another.
          assert.isAtMost(most(times, 950), LIMIT)
        }),
      60_000
    )
  })

  describe.concurrent("a lane", () => {
    it.scopedLive("lets a window's worth go at once, whoever asks, then one after the other, in turns", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const shared = lane(unusedApp())
        const { many, of, times } = ledger()
        yield* Effect.all([many("one", one, shared, 32), many("other", other, shared, 32)], { concurrency: 2 })
        const at = times.map(([, time]) => time)
        assert.isAtMost(at[19]!, 900)
        assert.isAtLeast(at[20]!, 1000)
        assert.isAtMost(most(at, 1000), LIMIT)
        assert.isBelow(at.at(-1)!, WINDOW + 44 * WINDOW / 20 + 1000)
        // Of those that waited, each process has its share, all the time.
        const late = times.slice(20, 40).map(([name]) => name)
        const ones = late.filter((name) => name === "one").length
        assert.isTrue(ones >= 7 && ones <= 13, late.join())
        assert.strictEqual(of("one").length + of("other").length, 64)
      }))

    it.scopedLive("does not hold up another lane, nor another app", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const app = unusedApp()
        const { many, of } = ledger()
        const busy = yield* Effect.fork(many("busy", one, lane(app), 100))
        yield* Effect.sleep("50 millis")
        yield* many("other", other, lane(app, "contact.getUserByUnionId"), 20)
        yield* many("foreign", other, lane(unusedApp()), 20)
        assert.isBelow(Math.max(...of("other"), ...of("foreign")), 1000)
        yield* Fiber.interrupt(busy)
      }))

    it.scopedLive("gives the places of the cancelled to others, in this process and the other", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const shared = lane(unusedApp())
        const { many, now, of, take } = ledger()
        yield* many("first", one, shared, LIMIT)
        for (let round = 0; round < 3; round++) {
          const fibers = yield* Effect.forEach(
            [one, other, one, other],
            (limiter) => Effect.fork(many("cancelled", limiter, shared, 25))
          )
          yield* Effect.sleep("60 millis")
          yield* Fiber.interruptAll(fibers)
        }
        assert.isBelow(now(), of("first")[0]! + 1000)
        yield* Effect.all([take("own", one, shared), take("foreign", other, shared)], { concurrency: 2 })
        assert.strictEqual(of("cancelled").length, 0)
        // 300 gave up. At most what two processes held for a tenth of a second is lost.
        assert.isBelow(Math.max(...of("own"), ...of("foreign")), of("first")[0]! + WINDOW + 5 * WINDOW / 20 + 150)
      }))

    it.scopedLive("whoever is cancelled at any moment harms nobody, and no window holds too many", () =>
      Effect.gen(function*() {
        const limiters = yield* Effect.all([open(), open(), open()])
        const shared = lane(unusedApp())
        const { take, times } = ledger()
        const some = (i: number) => (i * 7919) % 101
        yield* Effect.forEach(
          Array.from({ length: 90 }, (_, i) => i),
          (i) =>
            Effect.sleep(Duration.millis(some(i) * 12)).pipe(
              Effect.zipRight(take(String(i), limiters[i % 3]!, shared)),
              i % 3 === 0 ? Effect.timeoutOption(Duration.millis(some(i + 1))) : Effect.asVoid
            ),
          { concurrency: "unbounded", discard: true }
        ).pipe(Effect.timeout("20 seconds"))
        assert.isAtLeast(times.length, 60)
        assert.isAtMost(most(times.map(([, at]) => at), 1000), LIMIT)
      }))

    it.scopedLive("a call that the platform refused goes ahead of those that have not been sent", () =>
      Effect.gen(function*() {
        const limiter = yield* open()
        const own = lane(unusedApp())
        const { many, take, times } = ledger()
        yield* many("first", limiter, own, LIMIT)
        const rest = yield* Effect.fork(many("rest", limiter, own, 4))
        yield* Effect.sleep("50 millis")
        yield* take("again", limiter, own, { before: Infinity, again: true })
        yield* Fiber.join(rest)
        assert.strictEqual(times[LIMIT]![0], "again")
      }))

    it.scopedLive("refuses at once whom the queue would keep beyond their deadline, and says when to come back", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const shared = lane(unusedApp())
        const { many, now, take } = ledger()
        const busy = yield* Effect.fork(many("busy", one, shared, 120))
        yield* Effect.sleep("150 millis")
        const start = now()
        // The first has to ask Redis, the others of this process know.
        for (const limiter of [other, one, one]) {
          const error = yield* Effect.flip(
            take("hurried", limiter, shared, { before: Date.now() + 700, again: false })
          )
          assert(error._tag === "RateLimited")
          assert.strictEqual(error.dimension, "AppAndApi")
          const wait = Duration.toMillis(error.retryAfter!)
          // The other process takes turns with the first: 1 s to the end of the window, not 6.
          if (limiter === other) assert.isTrue(wait > 700 && wait < 1500, String(wait))
          else assert.isTrue(wait > 5500 && wait < 6700, String(wait))
        }
        assert.isBelow(now() - start, 200)
        yield* Fiber.interrupt(busy)
        // Nothing was taken by those that were refused.
        const next = yield* take("next", other, shared, { before: Date.now() + 3000, again: false })
        assert.isBelow(next, 1300)
      }))

    it.scopedLive("one that is not paced is not made to wait, but for what the platform asks", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const free = lane(unusedApp(), "x", Infinity)
        const { many, now } = ledger()
        yield* many("x", one, free, 500)
        assert.isBelow(now(), 500)
        yield* one.pause(free, limited("AppAndApi", 600))
        yield* Effect.sleep("50 millis")
        const start = now()
        yield* many("y", other, free, 5)
        assert.isAtLeast(now() - start, 500)
      }))

    it.scopedLive("a slow pace is kept too", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const slow = lane(unusedApp(), "x", 2.5)
        const { many, times } = ledger()
        yield* Effect.all([many("one", one, slow, 2), many("other", other, slow, 3)], { concurrency: 2 })
        const at = times.map(([, time]) => time)
        assert.isAtMost(most(at, 790), 2)
        assert.isBelow(at[4]!, 2 * 835 + 300)
      }))

    it.scopedLive("whatever lies under its keys, and though scripts are forgotten; and nothing stays for ever", () =>
      Effect.gen(function*() {
        const limiter = yield* open()
        const redis = yield* Server.client()
        const own = lane(unusedApp())
        yield* limiter.take(own, patient)
        const keys = yield* Server.keysOf(redis, `${prefix}pace:{${own.host}`)
        assert.isAtLeast(keys.length, 1)
        yield* Effect.promise(async () => {
          for (const kind of ["places", "freed", "waiting"]) {
            const key = `${prefix}pace:{${own.host}} ${own.app} ${own.endpoint} ${kind}`
            await redis.del(key)
            await redis.set(key, "garbage")
          }
          for (const name of ["host", `${own.app} app`, `${own.app} ${own.endpoint} lane`]) {
            await redis.hset(`${prefix}pause:{${own.host}} ${name}`, "a", "b")
          }
          await redis.script("FLUSH")
        })
        const fallbacks = yield* Metric.value(RedisLimiter.unshared)
        yield* limiter.take(own, patient)
        yield* limiter.pause(own, limited("AppAndApi", 100))
        yield* limiter.pause(own, limited("Org", 100))
        yield* limiter.pause(own, limited("Server", 100))
        yield* limiter.take(own, patient)
        assert.deepStrictEqual(yield* Metric.value(RedisLimiter.unshared), fallbacks)
        for (const key of yield* Server.keysOf(redis, `${prefix}pace:{${own.host}`)) {
          assert.isAbove(yield* Effect.promise(() => redis.pttl(key)), 0, key)
        }
      }))
  })

  describe.concurrent("an organisation", () => {
    const of = (app: string, tenant: string, endpoint?: string) => Limiter.lane({ ...lane(app, endpoint), tenant })

    it.scopedLive("has a pace of its own, which two processes share", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const app = unusedApp()
        const calls = ledger()
        yield* Effect.forEach(
          [["a", one], ["a", other], ["b", one], ["b", other]] as const,
          ([tenant, limiter]) => calls.many(tenant, limiter, of(app, tenant), 13),
          { concurrency: "unbounded" }
        )
        for (const tenant of ["a", "b"]) {
          const at = calls.of(tenant)
          assert.strictEqual(at.length, 26)
          assert.isBelow(at[LIMIT - 1]!, 900)
          assert.isAtLeast(at[LIMIT]!, 1000)
          assert.isBelow(at.at(-1)!, 1000 + WINDOW)
        }
      }))

    for (
      const [dimension, isApp] of [["Org", false], ["OrgAndApp", false], ["SuiteAndOrg", false], [
        "Suite",
        true
      ]] as const
    ) {
      it.scopedLive(`a throttle of ${dimension} pauses ${isApp ? "all" : "one"} in the other process too`, () =>
        Effect.gen(function*() {
          const [one, other] = yield* both
          const app = unusedApp()
          const calls = ledger()
          // Some wait already, and learn of it by what another hears.
          yield* Effect.forEach(["a", "b"], (tenant) => calls.many("first", other, of(app, tenant), LIMIT), {
            concurrency: 2
          })
          const waiting = yield* Effect.forEach(
            ["a", "b"],
            (tenant) => Effect.fork(calls.take(`${tenant} waits`, other, of(app, tenant)))
          )
          yield* Effect.sleep("50 millis")
          const start = calls.now()
          yield* one.pause(of(app, "a"), limited(dimension, 1800))
          yield* Effect.sleep("150 millis")
          const lanes = {
            "a": of(app, "a", "x"),
            "b": of(app, "b", "x"),
            "another app": Limiter.lane({ ...of(app, "a", "x"), app: "another" })
          }
          yield* Effect.forEach(Object.entries(lanes), ([name, each]) => calls.take(name, other, each), {
            concurrency: "unbounded"
          })
          for (const fiber of waiting) yield* Fiber.join(fiber)
          for (const name of ["a", "a waits", "b", "b waits", "another app"]) {
            const at = calls.of(name)[0]! - start
            const isHeld = name.startsWith("a ") || name === "a" || isApp
            if (name !== "another app" && isHeld) assert.isTrue(at >= 1790 && at < 2600, `${name}: ${at}`)
            else assert.isBelow(at, 1700, name)
          }
        }))
    }

    it.scopedLive("that no longer calls leaves nothing behind, of many", () =>
      Effect.gen(function*() {
        const own = `${prefix}many:`
        const limiter = yield* open({ prefix: own, timeout: "5 seconds" })
        const redis = yield* Server.client()
        const app = unusedApp()
        const fallbacks = yield* Metric.value(RedisLimiter.unshared)
        yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => i),
          (i) => limiter.take(of(app, `corp-${i}`), patient),
          { concurrency: 10, discard: true }
        )
        assert.deepStrictEqual(yield* Metric.value(RedisLimiter.unshared), fallbacks)
        const keys = yield* Server.keysOf(redis, own)
        assert.strictEqual(keys.filter((key) => key.endsWith(" places")).length, 200)
        const ends = yield* Effect.promise(() => Promise.all(keys.map((key) => redis.pttl(key))))
        for (const end of ends) assert.isTrue(end > 0 && end <= 16_100, String(end))
      }))
  })

  describe.concurrent("a pause", () => {
    for (
      const [dimension, same, sibling, foreign] of [
        ["AppAndApi", true, false, false],
        ["Org", true, true, false],
        ["Server", true, true, true],
        ["Robot", false, false, false]
      ] as const
    ) {
      it.scopedLive(`of ${dimension} holds what it names in the other process too, and nothing else`, () =>
        Effect.gen(function*() {
          const [one, other] = yield* both
          const app = unusedApp()
          const own = lane(app)
          const second = Limiter.lane({ ...own, endpoint: "contact.getUserByUnionId" })
          const third = Limiter.lane({ ...own, app: "another" })
          const { of, take } = ledger()
          yield* one.pause(own, limited(dimension, 1500))
          yield* Effect.sleep("150 millis")
          yield* Effect.all(
            [take("same", other, own), take("sibling", other, second), take("foreign", other, third)],
            { concurrency: "unbounded" }
          )
          for (const [name, isHeld] of Object.entries({ same, sibling, foreign })) {
            const [at] = of(name)
            assert.isTrue(isHeld ? at! >= 1490 && at! < 2200 : at! < 1100, `${name}: ${at}`)
          }
        }))
    }

    it.scopedLive("stops those that wait already in another process, and tells whom it takes the deadline", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const shared = lane(unusedApp())
        const { many, of, now, take } = ledger()
        yield* many("first", other, shared, LIMIT)
        const rest = yield* Effect.fork(many("rest", other, shared, 5))
        const hurried = yield* Effect.fork(
          Effect.flip(take("hurried", other, shared, { before: Date.now() + 1700, again: false }))
        )
        yield* Effect.sleep("100 millis")
        yield* one.pause(shared, limited("AppAndApi", 2000))
        const error = yield* Fiber.join(hurried)
        assert.isBelow(now(), 600)
        assert.strictEqual(error._tag, "RateLimited")
        yield* Fiber.join(rest)
        assert.isAtLeast(Math.min(...of("rest")), 2090)
        // Nor do they go all at once.
        assert.isAtLeast(Math.max(...of("rest")) - Math.min(...of("rest")), 4 * WINDOW / 20 - 30)
      }))

    it.scopedLive("for a ban fails everybody at once, those that wait too, in both, until it is over", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const shared = lane(unusedApp())
        const sibling = Limiter.lane({ ...shared, app: "another", endpoint: "x" })
        const { many, now, take } = ledger()
        yield* many("first", other, shared, LIMIT)
        const waiting = yield* Effect.forEach(
          [one, other, other],
          (limiter) => Effect.fork(Effect.flip(take("waiting", limiter, shared)))
        )
        yield* Effect.sleep("100 millis")
        yield* one.pause(shared, ban(1500))
        const start = now()
        for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber))._tag, "IpBanned")
        assert.isBelow(now() - start, 400)
        // One that has heard nothing yet asks before it fetches a token.
        for (const limiter of [one, other, yield* open()]) {
          const error = yield* Effect.flip(limiter.check(sibling))
          assert.strictEqual(error.endpoint, "x")
          assert.isBelow(Duration.toMillis(error.retryAfter), 1501)
          assert.strictEqual((yield* Effect.flip(limiter.take(sibling, patient)))._tag, "IpBanned")
        }
        yield* Effect.sleep(Duration.millis(start + 1600 - now()))
        yield* one.check(sibling)
        yield* other.check(sibling)
        yield* other.take(shared, patient)
      }))
  })

  describe.concurrent("two programs", () => {
    it.live("that share Redis are not throttled by the emulator", () => {
      const app = DingTalkHttp.layer({ limiter: { app: "dingquickstart" }, retry: false }).pipe(
        Layer.provide(Layer.fresh(RedisLimiter.layer({ url: Server.url, prefix: `${prefix}emulator:` }))),
        Layer.provide(
          TokenService.layer({ clientId: "dingquickstart", clientSecret: Redacted.make("quickstart-secret") })
        ),
        Layer.provide(HttpTransport.layer()),
        Layer.provide(EmulatorHttpClient.layer)
      )
      const calls = Effect.forEach(Array.from({ length: 30 }), () => Contact.getUser({ userid: "zhangsan" }), {
        concurrency: 30
      })
      return Effect.gen(function*() {
        const users = yield* Effect.all([
          Effect.provide(calls, Layer.fresh(app)),
          Effect.provide(calls, Layer.fresh(app))
        ], { concurrency: 2 })
        assert.strictEqual(users.flat().length, 60)
      }).pipe(Effect.provide(Emulator.layer({ rateLimit: LIMIT })))
    })
  })
})
