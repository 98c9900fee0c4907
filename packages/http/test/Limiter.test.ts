/**
 * The pace, against an emulator that counts calendar seconds as the platform does, and by itself.
 */
import { TokenService } from "@effect-dingtalk/auth"
import { Contact, DingTalkError } from "@effect-dingtalk/core"
import { Emulator, EmulatorHttpClient, Fault, Organization } from "@effect-dingtalk/emulator"
import { DingTalkHttp, HttpTransport, Limiter } from "@effect-dingtalk/http"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber, Layer, Redacted, TestClock } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

const app = (options?: DingTalkHttp.Options, clientId = "dingquickstart", clientSecret = "quickstart-secret") =>
  DingTalkHttp.layer(options).pipe(
    Layer.provide(TokenService.layer({ clientId, clientSecret: Redacted.make(clientSecret) })),
    Layer.provide(HttpTransport.layer()),
    Layer.provide(EmulatorHttpClient.layer)
  )

const organization: Organization.Organization = {
  ...Organization.quickstart,
  applications: [
    ...Organization.quickstart.applications,
    Organization.application({
      clientId: "dingsecond",
      clientSecret: Redacted.make("second-secret"),
      permissions: ["qyapi_get_member"]
    })
  ]
}

const zhangsan = Contact.getUser({ userid: "zhangsan" })

const throttled = Effect.map(
  Effect.flatMap(Emulator.Emulator, (emulator) => emulator.requests),
  (log) => log.filter(({ fault }) => fault === "Throttled").length
)

describe("1,000 calls to one API by 50 fibers", () => {
  // Where in the platform's second the first call falls.
  for (const phase of [0, 501]) {
    it.effect(
      `from ${phase} ms after the full second: no throttle answer, within 5 % of 50 s`,
      () =>
        Effect.gen(function*() {
          yield* TestClock.setTime(1_700_000_000_000 + phase)
          const start = yield* Clock.currentTimeMillis
          const all = yield* Effect.forEach(Array.from({ length: 1000 }), () => zhangsan, {
            concurrency: 50,
            discard: true
          }).pipe(Effect.zipRight(Clock.currentTimeMillis), Effect.fork)
          yield* TestClock.adjust("1 minute")
          const took = (yield* Fiber.join(all)) - start
          assert.strictEqual(yield* throttled, 0)
          assert.strictEqual(yield* Effect.flatMap(Emulator.Emulator, (emulator) => emulator.count()), 1001)
          assert.isBelow(took, 52_500)
          // Nor would there have been one, wherever in the second it had begun.
          const log = yield* Effect.flatMap(Emulator.Emulator, (emulator) => emulator.requests)
          const times = log.filter(({ endpoint }) => endpoint === "contact.getUser").map(({ at }) => at)
          for (let shift = 0; shift < 1000; shift++) {
            const seconds = new Map<number, number>()
            for (const at of times) {
              const second = Math.floor((at + shift) / 1000)
              seconds.set(second, (seconds.get(second) ?? 0) + 1)
            }
            assert.isAtMost(Math.max(...seconds.values()), 20)
          }
        }).pipe(Effect.provide(app()), Effect.provide(Emulator.layer({ rateLimit: 20 }))),
      60_000
    )
  }

  it.effect("the emulator does count: without the limiter most are refused", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.ignore(zhangsan), { concurrency: 50 })
      assert.strictEqual(yield* throttled, 80)
    }).pipe(
      Effect.provide(app({ limiter: false, retry: false })),
      Effect.provide(Emulator.layer({ rateLimit: 20 }))
    ))

  it.effect("at 40 a second in a paid edition", () =>
    Effect.gen(function*() {
      const start = yield* Clock.currentTimeMillis
      const all = yield* Effect.forEach(Array.from({ length: 200 }), () => zhangsan, { concurrency: 50 }).pipe(
        Effect.zipRight(Clock.currentTimeMillis),
        Effect.fork
      )
      yield* TestClock.adjust("10 seconds")
      assert.isBelow((yield* Fiber.join(all)) - start, 5250)
      assert.strictEqual(yield* throttled, 0)
    }).pipe(Effect.provide(app({ limiter: { perSecond: 40 } })), Effect.provide(Emulator.layer({ rateLimit: 40 }))))

  it.effect("another app has a pace of its own", () =>
    Effect.gen(function*() {
      const busy = yield* Effect.forEach(Array.from({ length: 100 }), () => zhangsan, { concurrency: 100 }).pipe(
        Effect.provide(app({ limiter: { app: "dingquickstart" } })),
        Effect.fork
      )
      yield* TestClock.adjust("100 millis")
      const start = yield* Clock.currentTimeMillis
      yield* Effect.forEach(Array.from({ length: 20 }), () => zhangsan, { concurrency: 20 }).pipe(
        Effect.provide(app({ limiter: { app: "dingsecond" } }, "dingsecond", "second-secret"))
      )
      assert.strictEqual((yield* Clock.currentTimeMillis) - start, 0)
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(busy)
      assert.strictEqual(yield* throttled, 0)
    }).pipe(Effect.provide(Limiter.layer), Effect.provide(Emulator.layer({ organization, rateLimit: 20 }))))
})

const lane = (endpoint = "contact.getUser", perSecond = 20, app = "app") =>
  Limiter.lane({ host: "https://api.dingtalk.com", app, endpoint, perSecond })

const patient = { before: Infinity, again: false }

/** What is taken, and when, in milliseconds since the start. */
const ledger = Effect.gen(function*() {
  const limiter = yield* Limiter.make
  const start = yield* Clock.currentTimeMillis
  const times: Array<readonly [name: string, at: number]> = []
  const take = (name: string, of = lane(), turn: Limiter.Turn = patient) =>
    limiter.take(of, turn).pipe(
      Effect.zipRight(Clock.currentTimeMillis),
      Effect.map((now) => void times.push([name, now - start]))
    )
  return { limiter, take, times }
})

describe("a lane", () => {
  it.effect("lets a window's worth go at once, then one after the other, evenly", () =>
    Effect.gen(function*() {
      const { take, times } = yield* ledger
      yield* Effect.forkAll(Array.from({ length: 45 }, (_, i) => take(String(i))))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(times.map(([name]) => Number(name)), Array.from({ length: 45 }, (_, i) => i))
      const at = times.map(([, time]) => time)
      assert.deepStrictEqual(at.slice(0, 22), [...Array.from({ length: 20 }, () => 0), 1025, 1077])
      for (let i = 20; i < 45; i++) assert.isAtLeast(at[i]! - at[i - 20]!, 1025)
      assert.isAtMost(at[44]!, 1025 + 24 * 51.25 + 1)
    }))

  it.effect("no window of 1,025 ms holds more than 20, however calls come", () =>
    Effect.gen(function*() {
      const { take, times } = yield* ledger
      for (let i = 0; i < 60; i++) {
        yield* Effect.forkAll(Array.from({ length: (i * 7) % 11 }, () => take("x")))
        yield* TestClock.adjust((i * 37) % 301)
      }
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(times.length, Array.from({ length: 60 }, (_, i) => (i * 7) % 11).reduce((a, b) => a + b))
      for (let i = 20; i < times.length; i++) assert.isAtLeast(times[i]![1] - times[i - 20]![1], 1025)
    }))

  it.effect("gives the places of the cancelled to those behind them", () =>
    Effect.gen(function*() {
      const run = (cancelled: ReadonlyArray<number>) =>
        Effect.gen(function*() {
          const { take, times } = yield* ledger
          const fibers = yield* Effect.forEach(
            Array.from({ length: 50 }, (_, i) => String(i)),
            (name) => Effect.fork(take(name))
          )
          yield* TestClock.adjust("500 millis")
          yield* Effect.forEach(cancelled, (i) => Fiber.interrupt(fibers[i]!))
          yield* TestClock.adjust("10 seconds")
          return new Map(times)
        })
      // The one that is next, those right behind it, some in between, the last.
      const gone = [20, 21, 22, 23, 30, 31, 35, 40, 41, 49]
      const without = yield* run([])
      const withThem = yield* run(gone)
      assert.strictEqual(without.size, 50)
      assert.strictEqual(withThem.size, 40)
      for (const [name, at] of withThem) assert.isAtMost(at, without.get(name)!)
      assert.isBelow(withThem.get("48")!, without.get("48")! - 450)
    }))

  it.effect("does not hold up another lane", () =>
    Effect.gen(function*() {
      const { take, times } = yield* ledger
      yield* Effect.forkAll(Array.from({ length: 500 }, () => take("busy")))
      yield* TestClock.adjust("1 seconds")
      yield* Effect.forkAll(Array.from({ length: 40 }, () => take("other", lane("contact.getUserByUnionId"))))
      yield* TestClock.adjust("4 seconds")
      const other = times.filter(([name]) => name === "other").map(([, at]) => at)
      assert.strictEqual(other.length, 40)
      assert.isAtMost(Math.max(...other), 1000 + 1025 + 19 * 52)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(times.length, 540)
    }))

  it.effect("lets a call that the platform refused go ahead of those that have not been sent", () =>
    Effect.gen(function*() {
      const { take, times } = yield* ledger
      yield* Effect.forkAll(Array.from({ length: 25 }, (_, i) => take(String(i))))
      yield* Effect.fork(take("first again", lane(), { before: Infinity, again: true }))
      yield* Effect.fork(take("second again", lane(), { before: Infinity, again: true }))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(times.slice(20).map(([name]) => name), [
        "first again",
        "second again",
        "20",
        "21",
        "22",
        "23",
        "24"
      ])
    }))

  it.effect("refuses at once whom the queue would keep beyond their deadline, and says when to come back", () =>
    Effect.gen(function*() {
      const { take } = yield* ledger
      yield* Effect.forkAll(Array.from({ length: 120 }, () => take("x")))
      yield* Effect.yieldNow()
      const error = yield* Effect.flip(take("late", lane(), { before: 5000, again: false }))
      assert(error._tag === "RateLimited")
      // 20 at once, and 100 before it, 51.25 ms each.
      assert.strictEqual(Duration.toMillis(error.retryAfter!), 1025 + 100 * 51.25)
      assert.include(error.message, "try again in 7 s")
      yield* TestClock.adjust("1 minute")
    }))

  it.effect("goes on when the clock is set back", () =>
    Effect.gen(function*() {
      const { take, times } = yield* ledger
      yield* TestClock.adjust("1 hour")
      yield* Effect.forkAll(Array.from({ length: 30 }, () => take("before")))
      yield* Effect.yieldNow()
      yield* TestClock.setTime(1000)
      yield* Effect.fork(take("after"))
      yield* TestClock.adjust("1 hour")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(times.length, 31)
    }))

  it.effect("forgets the lanes that are idle", () =>
    Effect.gen(function*() {
      const limiter = yield* Limiter.make
      const turns = (from: number) =>
        Effect.forEach(Array.from({ length: 1000 }, (_, i) => i), (i) => limiter.take(lane(`x.${from + i}`), patient), {
          discard: true
        })
      setFlagsFromString("--expose-gc")
      const gc = runInNewContext("gc") as () => void
      const memory = () => {
        gc()
        const { arrayBuffers, heapUsed } = process.memoryUsage()
        return heapUsed + arrayBuffers
      }
      yield* turns(0)
      const before = memory()
      for (let i = 1; i < 30; i++) {
        yield* TestClock.adjust("2 seconds")
        yield* turns(i * 1000)
      }
      // 29,000 lanes of 20 numbers and two sets would be 20 MB and more.
      assert.isBelow(memory() - before, 10_000_000)
    }))

  it.effect("gives a turn without an Effect to whom it would not make wait, and no other", () =>
    Effect.gen(function*() {
      const { limiter, take, times } = yield* ledger
      const at = (now: number, of = lane("x", 2)) => limiter.unsafeTake!(of, now)
      assert.deepStrictEqual([at(0), at(0), at(0)], [true, true, false])
      // It counts as any other: the third waits for the first.
      const third = yield* Effect.fork(take("third", lane("x", 2)))
      yield* TestClock.adjust("1024 millis")
      assert.isFalse(at(1024), "not ahead of whoever waits")
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(third)
      assert.deepStrictEqual(times, [["third", 1025]])
      yield* limiter.pause(lane("x", 2), limited("AppAndApi", 3000))
      assert.deepStrictEqual([at(3000), at(4024), at(4025)], [false, false, true])
      yield* limiter.pause(lane("x", 2), new DingTalkError.IpBanned({ endpoint: "x", retryAfter: Duration.minutes(5) }))
      assert.isFalse(at(60_000, lane("y")))
    }))

  it.effect("one that is not paced is never made to wait, but for what the platform asks", () =>
    Effect.gen(function*() {
      const { limiter, take, times } = yield* ledger
      const free = lane("x", Infinity)
      yield* Effect.forEach(Array.from({ length: 1000 }), () => take("x", free), { discard: true })
      assert.strictEqual(times.length, 1000)
      yield* limiter.pause(free, limited("AppAndApi", 2000))
      yield* Effect.forkAll(Array.from({ length: 10 }, () => take("y", free)))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(times.slice(1000), Array.from({ length: 10 }, () => ["y", 2000] as const))
    }))
})

describe("a lane of a very high pace", () => {
  // 4,096 times are kept: the last pace that keeps one for each call, and the first one that does not.
  for (const perSecond of [4096, 4097, 10_000, 99_999.5, 100_000, 123_457]) {
    it.effect(`of ${perSecond} a second lets no more than that go within 1,025 ms, and hardly less`, () =>
      Effect.gen(function*() {
        const limiter = yield* Limiter.make
        const fast = lane("x", perSecond)
        const sent: Array<number> = []
        // In bursts of all sizes, and with lulls: more is asked for than may go, nearly always.
        for (let now = 0; now < 4000; now += 1 + (now * 7) % 13) {
          if (now > 1500 && now < 1700) continue
          for (let i = 0; i < 14 * perSecond / 1000 && limiter.unsafeTake!(fast, now); i++) sent.push(now)
        }
        const limit = Math.floor(perSecond)
        let most = 0
        for (let last = 0, first = 0; last < sent.length; last++) {
          while (sent[first]! <= sent[last]! - 1025) first++
          most = Math.max(most, last - first + 1)
        }
        assert.isAtMost(most, limit)
        assert.isAtLeast(most, limit * 0.999)
        assert.isAtLeast(sent.length, 3.5 * limit)
      }))
  }

  for (const perSecond of [1e6, 1e10, 4.3e15, Number.MAX_VALUE]) {
    it.effect(`of ${perSecond} a second counts in little memory, and holds back nobody`, () =>
      Effect.gen(function*() {
        const limiter = yield* Limiter.make
        const before = process.memoryUsage().arrayBuffers
        for (let i = 0; i < 50; i++) {
          const fast = lane(`x.${i}`, perSecond)
          for (let call = 0; call < 1000; call++) assert.isTrue(limiter.unsafeTake!(fast, 0))
          assert.strictEqual(yield* limiter.take(fast, { before: 0, again: false }), 0)
        }
        // Other tests have lanes as well.
        assert.isBelow(process.memoryUsage().arrayBuffers - before, 50 * 40_000 + 1_000_000)
      }))
  }

  it.effect("pauses, lets those that wait go in their order, and tells who would come too late", () =>
    Effect.gen(function*() {
      const { limiter, take, times } = yield* ledger
      const fast = lane("x", 8192)
      for (let i = 0; i < 8191; i++) assert.isTrue(limiter.unsafeTake!(fast, 0))
      yield* Effect.forkAll(Array.from({ length: 4 }, (_, i) => take(String(i), fast)))
      yield* Effect.yieldNow()
      const late = { before: 1000, again: false }
      assert.strictEqual((yield* Effect.flip(limiter.take(fast, late)))._tag, "RateLimited")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(times.map(([name]) => name), ["0", "1", "2", "3"])
      assert.strictEqual(times[0]![1], 0)
      for (const [, at] of times.slice(1)) assert.isTrue(at >= 1025 && at <= 1028, String(at))
      yield* limiter.pause(fast, limited("AppAndApi", 3000))
      yield* Effect.fork(take("paused", fast))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(times[4], ["paused", 5000])
      // A clock that was set back forgets what was sent.
      yield* TestClock.setTime(1000)
      assert.isTrue(limiter.unsafeTake!(fast, 1000))
    }))
})

const limited = (dimension: DingTalkError.RateLimited["dimension"], retryAfter?: number) =>
  new DingTalkError.RateLimited({
    endpoint: "contact.getUser",
    dimension,
    ...(retryAfter === undefined ? {} : { retryAfter: Duration.millis(retryAfter) })
  })

describe("a pause", () => {
  const other = lane("contact.getUserByUnionId")
  const otherApp = lane("contact.getUser", 20, "other app")
  const otherHost = Limiter.lane({ ...lane(), host: "https://api.dingtalk.io" })

  /** When each of the four may go after the first was refused. */
  const after = (error: DingTalkError.RateLimited) =>
    Effect.gen(function*() {
      const { limiter, take, times } = yield* ledger
      yield* limiter.pause(lane(), error)
      yield* Effect.forkAll([
        take("same", lane()),
        take("other", other),
        take("other app", otherApp),
        take("other host", otherHost)
      ])
      yield* TestClock.adjust("2 minutes")
      return Object.fromEntries(times)
    })

  for (
    const [dimension, same, sibling, foreign] of [
      ["AppAndApi", 3000, 0, 0],
      ["Api", 3000, 0, 0],
      ["Unknown", 3000, 0, 0],
      ["Org", 3000, 3000, 0],
      ["OrgAndApp", 3000, 3000, 0],
      ["SuiteAndOrg", 3000, 3000, 0],
      ["Suite", 3000, 3000, 0],
      ["Server", 3000, 3000, 3000],
      ["Robot", 0, 0, 0],
      ["WorkNotice", 0, 0, 0]
    ] as const
  ) {
    it.effect(`of ${dimension} holds what it names and nothing else`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* after(limited(dimension, 3000)), {
          same,
          other: sibling,
          "other app": foreign,
          "other host": 0
        })
      }))
  }

  for (
    const [dimension, sibling, tenant] of [
      ["AppAndApi", 0, 0],
      ["OrgAndApp", 3000, 0],
      ["SuiteAndOrg", 3000, 0],
      ["Suite", 3000, 3000],
      ["Server", 3000, 3000]
    ] as const
  ) {
    it.effect(`of ${dimension} in one organisation`, () =>
      Effect.gen(function*() {
        const { limiter, take, times } = yield* ledger
        const of = (tenant: string, endpoint?: string) => Limiter.lane({ ...lane(endpoint), tenant })
        yield* limiter.pause(of("dingnorth"), limited(dimension, 3000))
        yield* Effect.forkAll([
          take("same", of("dingnorth")),
          take("other", of("dingnorth", "contact.getUserByUnionId")),
          take("other organisation", of("dingsouth"))
        ])
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(Object.fromEntries(times), {
          same: 3000,
          other: sibling,
          "other organisation": tenant
        })
      }))
  }

  it.effect("lasts a second where nothing is stated, no time where it is over, and a minute where that is absurd", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* after(limited("AppAndApi")))["same"], 1000)
      assert.strictEqual((yield* after(limited("AppAndApi", 0)))["same"], 0)
      assert.strictEqual((yield* after(limited("AppAndApi", 10 ** 12)))["same"], 60_000)
    }))

  it.effect("ends without a burst: those that waited go evenly", () =>
    Effect.gen(function*() {
      const { limiter, take, times } = yield* ledger
      yield* limiter.pause(lane(), limited("AppAndApi", 5000))
      yield* Effect.forkAll(Array.from({ length: 40 }, () => take("x")))
      yield* TestClock.adjust("10 seconds")
      const at = times.map(([, time]) => time)
      assert.strictEqual(at[0], 5000)
      for (let i = 1; i < at.length; i++) assert.isAtLeast(at[i]! - at[i - 1]!, 51)
    }))

  it.effect("tells those at once whose deadline it takes, and lets the others wait", () =>
    Effect.gen(function*() {
      const { limiter, take, times } = yield* ledger
      yield* Effect.forEach(Array.from({ length: 20 }), () => take("before"), { discard: true })
      const hurried = yield* Effect.fork(Effect.exit(take("hurried", lane(), { before: 4000, again: false })))
      yield* Effect.fork(take("patient"))
      yield* TestClock.adjust("10 millis")
      yield* limiter.pause(lane(), limited("AppAndApi", 10_000))
      yield* TestClock.adjust("1 millis")
      const exit = yield* Fiber.join(hurried)
      assert(Exit.isFailure(exit) && exit.cause._tag === "Fail")
      assert.strictEqual(exit.cause.error._tag, "RateLimited")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(times.slice(20), [["patient", 10_010]])
    }))

  it.effect("for a ban fails everybody at once, those that wait too, until it is over", () =>
    Effect.gen(function*() {
      const { limiter, take, times } = yield* ledger
      yield* Effect.forEach(Array.from({ length: 20 }), () => take("before"), { discard: true })
      const waiting = yield* Effect.forEach(
        ["next", "behind"],
        () => Effect.fork(Effect.flip(take("x")))
      )
      yield* TestClock.adjust("10 millis")
      yield* limiter.pause(
        lane(),
        new DingTalkError.IpBanned({ endpoint: "contact.getUser", retryAfter: Duration.minutes(5) })
      )
      yield* TestClock.adjust("1 millis")
      for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber))._tag, "IpBanned")

      yield* TestClock.adjust("1 minute")
      for (const each of [lane(), other, otherApp]) {
        const error = yield* Effect.flip(limiter.take(each, patient))
        assert(error._tag === "IpBanned")
        assert.strictEqual(error.endpoint, each.endpoint)
        assert.strictEqual(Duration.toMillis(error.retryAfter), 239_999)
        assert.strictEqual((yield* Effect.flip(limiter.check(each)))._tag, "IpBanned")
      }
      yield* limiter.take(otherHost, patient)
      yield* TestClock.adjust("4 minutes")
      yield* limiter.check(lane())
      yield* limiter.take(lane(), patient)
      assert.strictEqual(times.length, 20)
    }))
})

describe("a ban of this machine's address", () => {
  it.effect("nothing is sent for 5 minutes, not even for a token, and then all goes on", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* zhangsan
      yield* emulator.failNext(Fault.ipBanned("json"))
      assert.strictEqual((yield* Effect.flip(zhangsan))._tag, "IpBanned")
      yield* emulator.expireTokens
      yield* emulator.clearRequests
      for (let minute = 0; minute < 5; minute++) {
        const error = yield* Effect.flip(Contact.getUserByUnionId({ unionid: "x" }))
        assert(error._tag === "IpBanned")
        assert.strictEqual(Duration.toMinutes(error.retryAfter), 5 - minute)
        yield* TestClock.adjust("1 minute")
      }
      assert.strictEqual(yield* emulator.count(), 0)
      yield* zhangsan
    }).pipe(Effect.provide(app()), Effect.provide(Emulator.layer())))
})

describe("options", () => {
  it.effect("an endpoint may have a pace of its own", () =>
    Effect.gen(function*() {
      const start = yield* Clock.currentTimeMillis
      const all = yield* Effect.forEach(Array.from({ length: 11 }), () => zhangsan, { concurrency: 11 }).pipe(
        Effect.zipRight(Clock.currentTimeMillis),
        Effect.fork
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(all)) - start, 2 * 1025 + 0)
    }).pipe(
      Effect.provide(app({ limiter: { endpoints: { "contact.getUser": 5 } } })),
      Effect.provide(Emulator.layer())
    ))

  it.effect("a pace beyond what memory holds is a pace", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* zhangsan).name, "John")
    }).pipe(Effect.provide(app({ limiter: { perSecond: 1e10 } })), Effect.provide(Emulator.layer())))

  it.effect("a pace of nothing is refused when the Layer is made", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.provide(zhangsan, app({ limiter: { perSecond: 0 } })))
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("no pace"))
    }).pipe(Effect.provide(Emulator.layer())))
})
