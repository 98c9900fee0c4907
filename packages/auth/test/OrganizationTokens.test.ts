import type { TokenStore } from "@effect-dingtalk/auth"
import { OrganizationTokens, SuiteTicket, ThirdPartyApp } from "@effect-dingtalk/auth"
import { DingTalkError, Endpoint, Hosts, OAuth2, SuiteTokenService, Transport } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Context, Effect, Either, Fiber, Inspectable, Layer, Logger, Redacted } from "effect"
import { pace } from "../src/internal/upkeep.js"
import * as sharedStore from "./simulation/sharedStore.js"
import * as virtualTime from "./simulation/virtualTime.js"

type Time = ReturnType<typeof virtualTime.make>

const quiet = Logger.remove(Logger.defaultLogger)
const HOUR = 3_600_000

const scenario = (
  name: string,
  test: (time: Time) => Effect.Effect<void, unknown, Scope.Scope>,
  timeout = 5_000
): void =>
  it.live(name, () => {
    const time = virtualTime.make()
    return time.run(Effect.scoped(Effect.suspend(() => test(time)))).pipe(Effect.provide(quiet))
  }, timeout)

const all = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>) =>
  Effect.all(effects, { concurrency: "unbounded" })

/** Fetches by organisation and by time, of an app through either endpoint. */
const platform = (time: Time, hosts: Hosts.Hosts = Hosts.com) => {
  const fetched = new Map<string, Array<number>>()
  const at: Array<number> = []
  const tickets: Array<string> = []
  let good: string | undefined
  const note = (corpId: string, app: string) =>
    Effect.suspend((): Effect.Effect<{ readonly token: string }, DingTalkError.CommonError> => {
      const times = fetched.get(corpId) ?? []
      times.push(time.now())
      fetched.set(corpId, times)
      at.push(time.now())
      return corpId.startsWith("unknown")
        ? Effect.fail(new DingTalkError.Unavailable({ endpoint: "x", code: "unknownError" }))
        : corpId.startsWith("foreign")
        ? Effect.fail(
          new DingTalkError.PermissionDenied({ endpoint: "x", code: "invalidAuthInfo", scopes: [], applyAt: "" })
        )
        : Effect.delay(Effect.succeed({ token: `${hosts.api} ${app} ${corpId} ${times.length}` }), "100 millis")
    })
  const withTicket = <A, E>(ticket: Redacted.Redacted, effect: Effect.Effect<A, E>) => {
    tickets.push(Redacted.value(ticket))
    return good === undefined || Redacted.value(ticket) === good ? effect : Effect.fail(
      new DingTalkError.InvalidCredentials({ endpoint: "x", code: "invalidSuiteTicket", status: 400 })
    )
  }
  const layer = Layer.map(
    Transport.layerTest([
      Endpoint.handle(
        OAuth2.GetOrganizationToken,
        ({ client_id, corpId }) =>
          Effect.map(note(corpId, client_id), ({ token }) => ({ access_token: token, expires_in: 7200 }))
      ),
      Endpoint.handle(OAuth2.GetCorpAccessToken, ({ authCorpId, suiteKey, suiteTicket }) =>
        withTicket(
          suiteTicket,
          Effect.map(note(authCorpId, suiteKey), ({ token }) => ({ accessToken: token, expireIn: 7200 }))
        )),
      Endpoint.handle(OAuth2.GetSuiteAccessToken, ({ suiteKey, suiteTicket }) =>
        withTicket(
          suiteTicket,
          Effect.map(note("suite", suiteKey), ({ token }) => ({ accessToken: token, expireIn: 7200 }))
        ))
    ]),
    (context) => Context.add(context, Transport.Transport, { ...Context.get(context, Transport.Transport), hosts })
  )
  return {
    layer,
    fetched,
    at,
    tickets,
    accept: (ticket: string) => {
      good = ticket
    },
    /** the most in any second */
    busiest: () => {
      let most = 0
      for (let from = 0, to = 0; to < at.length; to++) {
        while (at[to]! - at[from]! >= 1000) from++
        most = Math.max(most, to - from + 1)
      }
      return most
    }
  }
}

const secret = Redacted.make("SECRET")

const organizations = (
  platform: { readonly layer: Layer.Layer<Transport.Transport> },
  options: Partial<OrganizationTokens.Options> = {},
  store: Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError> | Layer.Layer<never> = Layer.empty
) =>
  Effect.map(
    Layer.build(
      OrganizationTokens.layer({ clientId: "ding1", clientSecret: secret, ...options }).pipe(
        Layer.provide(platform.layer),
        Layer.provide(store)
      )
    ),
    (context) => Context.get(context, OrganizationTokens.OrganizationTokens)
  )

const thirdParty = (
  platform: { readonly layer: Layer.Layer<Transport.Transport> },
  options: Partial<ThirdPartyApp.Options> = {},
  store: Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError> | Layer.Layer<never> = Layer.empty
) =>
  Effect.map(
    Layer.build(
      ThirdPartyApp.layer({ clientId: "suite1", clientSecret: secret, ...options }).pipe(
        Layer.provide(platform.layer),
        Layer.provide(store)
      )
    ),
    (context) => ({
      of: Context.get(context, OrganizationTokens.OrganizationTokens).of,
      suite: Context.get(context, SuiteTokenService.SuiteTokenService),
      tickets: Context.get(context, SuiteTicket.SuiteTicket)
    })
  )

const valueOf = (source: OrganizationTokens.Service["of"] extends (corpId: string) => infer S ? S : never) =>
  Effect.map(source.get, (token) => Redacted.value(token.value))

const during = <A, E>(time: Time, effect: Effect.Effect<A, E>, duration: "1 second" | "5 seconds" | "30 seconds") =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* time.advance(duration)
    return yield* Fiber.join(fiber)
  })

const http = Either.getOrThrow(Hosts.single("http://127.0.0.1:1"))

describe("10,000 organisations in one process", () => {
  for (const [kind, count] of [["OrganizationTokens", 10_000], ["ThirdPartyApp", 1_000]] as const) {
    scenario(
      `${kind}: at most 2 fetches each in 2 hours, never more than the pace, and none crossed`,
      (time) =>
        Effect.gen(function*() {
          const fake = platform(time)
          const { of } = kind === "OrganizationTokens"
            ? yield* organizations(fake)
            : yield* thirdParty(fake, { suiteTicket: Redacted.make("any") })
          const corps = Array.from({ length: count }, (_, i) => `ding${i}`)
          const cold = yield* Effect.fork(all(corps.map((corpId) => of(corpId).get)))
          yield* time.advance("505 seconds")
          assert.strictEqual((yield* Fiber.join(cold)).length, count)
          assert.strictEqual(fake.at.length, count)
          assert.isAtMost(fake.busiest(), 21)
          const from = time.now()
          // A fifth of them stay in use, each asked every 20 minutes.
          for (let minute = 0; minute < 160; minute += 20) {
            yield* time.advance("20 minutes")
            for (let i = 0; i < count / 5; i++) {
              const token = yield* of(corps[i]!).get
              assert.include(Redacted.value(token.value), ` ${corps[i]} `)
              assert.isAbove(token.expiresAt, time.now())
            }
          }
          assert.isAtMost(fake.busiest(), 21)
          for (let i = 0; i < count; i++) {
            const times = fake.fetched.get(corps[i]!)!
            for (const start of times) {
              assert.isAtMost(times.filter((at) => at >= start && at < start + 2 * HOUR).length, 2)
            }
            if (i >= count / 5) {
              assert.strictEqual(times.length, 1, "nobody asked, so nothing was refreshed")
            }
          }
          // Spread out: by the pace of 20 alone, 1,200 would be refreshed in a minute.
          const refreshes = fake.at.filter((at) => at >= from)
          const perMinute = new Map<number, number>()
          for (const at of refreshes) {
            perMinute.set(Math.floor(at / 60_000), (perMinute.get(Math.floor(at / 60_000)) ?? 0) + 1)
          }
          assert.isBelow(Math.max(...perMinute.values()), 250)
        }),
      60_000
    )
  }

  scenario("one that is used every 40 minutes is not fetched every time", (time) =>
    Effect.gen(function*() {
      const fake = platform(time)
      const { of } = yield* organizations(fake)
      for (let i = 0; i < 12; i++) {
        yield* during(time, of("ding1").get, "1 second")
        yield* time.advance("40 minutes")
      }
      assert.isAtMost(fake.at.length, 6)
    }))

  scenario("nothing ticks once all are idle", (time) =>
    Effect.gen(function*() {
      const fake = platform(time)
      const { of } = yield* organizations(fake)
      yield* during(time, of("ding1").get, "1 second")
      assert.isDefined(of("ding1").unsafePeek?.(time.now()))
      yield* time.advance("3 hours")
      assert.isUndefined(of("ding1").unsafePeek?.(time.now()))
      assert.strictEqual(fake.at.length, 1)
      yield* during(time, of("ding1").get, "1 second")
      assert.strictEqual(fake.at.length, 2)
    }))

  scenario("no pace at all is a defect that says so", (time) =>
    Effect.gen(function*() {
      for (const perSecond of [0, -1, NaN]) {
        const exit = yield* Effect.exit(organizations(platform(time), { perSecond }))
        assert.match(Inspectable.toStringUnknown(exit), /perSecond: expected a number above 0/)
      }
    }))
})

describe("organisations among each other", () => {
  scenario(
    "two apps, two hosts, two organisations, two processes, one store, cold and at once: nothing crosses",
    (time) =>
      Effect.gen(function*() {
        const store = yield* sharedStore.make()
        const fakes = [Hosts.com, http].map((hosts) => ({ hosts, fake: platform(time, hosts) }))
        const calls: Array<Effect.Effect<void, unknown>> = []
        for (let process = 0; process < 2; process++) {
          for (const { fake, hosts } of fakes) {
            for (const clientId of ["a", "a/organization"]) {
              const { of } = yield* organizations(fake, { clientId }, store.process().layer)
              for (const corpId of ["ding1", "ding2"]) {
                calls.push(Effect.map(valueOf(of(corpId)), (value) => {
                  assert.isTrue(value.startsWith(`${hosts.api} ${clientId} ${corpId} `), value)
                }))
              }
            }
          }
        }
        yield* during(time, all(calls), "5 seconds")
        assert.strictEqual(fakes[0]!.fake.at.length + fakes[1]!.fake.at.length, 2 * 2 * 2)
      })
  )

  scenario(
    "unknown and unauthorised ones, asked all the time, keep no other waiting",
    (time) =>
      Effect.gen(function*() {
        const fake = platform(time)
        const { of } = yield* organizations(fake)
        const bad = Array.from({ length: 5 }, (_, i) => [of(`unknown${i}`), of(`foreign${i}`)]).flat()
        yield* Effect.forkScoped(
          all(
            bad.map((source) => Effect.forever(Effect.zipRight(Effect.either(source.get), Effect.sleep("10 millis"))))
          )
        )
        yield* time.advance("5 seconds")
        const from = time.now()
        const took = yield* during(
          time,
          Effect.map(of("ding1").get, () => time.now() - from),
          "5 seconds"
        )
        assert.isAtMost(took, 12 * 50 + 100)
        assert.isAtMost(fake.busiest(), 21)
        // Permission is final for 5 seconds: so many callers, so few requests.
        assert.isAtMost(fake.fetched.get("foreign0")!.length, 4)
      })
  )

  scenario("callers who go away harm nobody", (time) =>
    Effect.gen(function*() {
      const fake = platform(time)
      const { of } = yield* organizations(fake)
      const hasty = yield* Effect.fork(all(Array.from({ length: 50 }, (_, i) => of(`ding${i}`).get)))
      yield* time.advance("1 second")
      yield* Fiber.interrupt(hasty)
      const patient = yield* during(
        time,
        all(Array.from({ length: 50 }, (_, i) => valueOf(of(`ding${i}`)))),
        "5 seconds"
      )
      assert.strictEqual(patient.length, 50)
      assert.strictEqual(fake.at.length, 50)
    }))

  scenario(
    "8 processes, 50 organisations, cold: 50 fetches, and no lease is held by who waits for a turn",
    (time) =>
      Effect.gen(function*() {
        const store = yield* sharedStore.make()
        const fake = platform(time)
        const processes = yield* all(
          Array.from({ length: 8 }, () => organizations(fake, { perSecond: 5 }, store.process().layer))
        )
        const calls = yield* Effect.fork(all(
          processes.flatMap(({ of }) => Array.from({ length: 50 }, (_, i) => valueOf(of(`ding${i}`))))
        ))
        yield* time.advance("30 seconds")
        assert.strictEqual((yield* Fiber.join(calls)).length, 400)
        assert.strictEqual(fake.at.length, 50)
      })
  )

  scenario("a restart uses what is stored, without waiting for a turn", (time) =>
    Effect.gen(function*() {
      const store = yield* sharedStore.make()
      const fake = platform(time)
      const corps = Array.from({ length: 20 }, (_, i) => `ding${i}`)
      const first = yield* organizations(fake, {}, store.process().layer)
      yield* during(time, all(corps.map((corpId) => first.of(corpId).get)), "5 seconds")
      const second = yield* organizations(fake, { perSecond: 0.001 }, store.process().layer)
      assert.strictEqual((yield* all(corps.map((corpId) => second.of(corpId).get))).length, 20)
      assert.strictEqual(fake.at.length, 20)
    }))
})

describe("the pace", () => {
  scenario("lets one through at a time, evenly, in the order they came", (time) =>
    Effect.gen(function*() {
      const paced = pace(10)
      const from = time.now()
      const log: Array<readonly [number, number]> = []
      yield* during(
        time,
        all(Array.from({ length: 5 }, (_, i) => paced(Effect.sync(() => log.push([i, time.now() - from]))))),
        "1 second"
      )
      assert.deepStrictEqual(log, [[0, 0], [1, 100], [2, 200], [3, 300], [4, 400]])
    }))

  scenario("gives the place of who goes away to the next", (time) =>
    Effect.gen(function*() {
      const paced = pace(10)
      const from = time.now()
      yield* paced(Effect.void)
      const gone = yield* Effect.all(Array.from({ length: 9 }, () => Effect.fork(paced(Effect.void))))
      yield* time.advance("0 seconds" as "1 second")
      const next = yield* Effect.fork(paced(Effect.sync(() => time.now() - from)))
      yield* time.advance("50 millis" as "1 second")
      yield* Fiber.interruptAll(gone)
      yield* time.advance("100 millis" as "1 second")
      assert.isAtMost(yield* Fiber.join(next), 150)
    }))
})

const stream = (suiteTicket: unknown, born: unknown) => ({
  eventType: "suite_ticket",
  eventCorpId: "dingdev",
  eventId: "e1",
  eventBornTime: born,
  eventUnifiedAppId: "app",
  data: { suiteTicket }
})
const callback = (SuiteTicket: unknown, TimeStamp: unknown, SuiteKey = "suite1") => ({
  SuiteKey,
  EventType: "suite_ticket",
  TimeStamp,
  SuiteTicket
})
const frame = (suiteTicket: unknown, born: unknown) => ({
  specVersion: "1.0",
  type: "EVENT",
  headers: { topic: "*", messageId: "m", eventType: "suite_ticket", eventBornTime: String(born) },
  data: JSON.stringify({ suiteTicket })
})

describe("the suite ticket", () => {
  const make = (
    store: Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError> | Layer.Layer<never> = Layer.empty,
    suiteKey = "suite1"
  ) =>
    Effect.map(
      Layer.build(SuiteTicket.layer({ suiteKey }).pipe(Layer.provide(store), Layer.provide(Transport.layerTest([])))),
      Context.get(SuiteTicket.SuiteTicket)
    )
  const textOf = (tickets: SuiteTicket.Service) => Effect.map(tickets.get, Redacted.value)

  scenario("is read from all three forms, and from a frame, as objects and as text", (time) =>
    Effect.gen(function*() {
      const now = time.now()
      const forms = [
        stream("T", now),
        stream("T", String(now)),
        callback("T", String(now)),
        callback("T", now),
        { syncAction: "suite_ticket", suiteTicket: "T" },
        frame("T", now),
        { ...stream("T", now), data: JSON.stringify({ suiteTicket: "T" }) }
      ]
      for (const form of forms) {
        for (const event of [form, JSON.stringify(form)]) {
          const tickets = yield* make()
          assert.isTrue(yield* tickets.receive(event))
          assert.strictEqual(yield* textOf(tickets), "T")
        }
      }
    }))

  scenario("is left alone by other events, another app's ticket and what is no event", () =>
    Effect.gen(function*() {
      const tickets = yield* make()
      for (
        const event of [
          { EventType: "check_url" },
          { eventType: "user_add_org", data: { userId: ["u"] } },
          callback("T", 1, "suite2"),
          "no JSON",
          "",
          "null",
          null,
          undefined,
          1,
          [],
          {}
        ]
      ) assert.isFalse(yield* tickets.receive(event))
      assert.strictEqual((yield* Effect.flip(tickets.get))._tag, "InvalidCredentials")
    }))

  scenario(
    "in an event that is still encrypted is not passed over: the platform would think it received",
    () =>
      Effect.gen(function*() {
        const tickets = yield* make()
        for (const event of [{ encrypt: "SENTINEL" }, JSON.stringify({ encrypt: "SENTINEL" })]) {
          const error = yield* Effect.flip(tickets.receive(event))
          assert(error._tag === "SuiteTicketError")
          assert.strictEqual(error.field, "encrypt")
          assert.notInclude(error.message, "SENTINEL")
        }
      })
  )

  scenario(
    "that is none is an error that names the field and does not hold the event",
    (time) =>
      Effect.gen(function*() {
        const tickets = yield* make()
        for (const bad of [undefined, null, "", " ", 7, ["SENTINEL"], { a: "SENTINEL" }]) {
          for (const event of [stream(bad, time.now()), callback(bad, time.now())]) {
            const error = yield* Effect.flip(tickets.receive(event))
            assert.strictEqual(error._tag, "SuiteTicketError")
            assert.match(error.message, /suiteTicket|SuiteTicket/)
            assert.notInclude(Inspectable.format(error) + error.message, "SENTINEL")
          }
        }
        assert.strictEqual(
          (yield* Effect.flip(tickets.receive({ ...stream("T", 1), data: "no JSON" })))._tag,
          "SuiteTicketError"
        )
      })
  )

  scenario("that is older, or comes again, changes nothing", (time) =>
    Effect.gen(function*() {
      const store = yield* sharedStore.make()
      const [a, b] = yield* all([make(store.process().layer), make(store.process().layer)])
      const now = time.now()
      yield* a.receive(stream("NEW", now))
      yield* a.receive(stream("OLD", now - HOUR))
      yield* b.receive(stream("OLD", now - HOUR))
      yield* a.receive(stream("NEW", now))
      assert.deepStrictEqual([yield* textOf(a), yield* textOf(b)], ["NEW", "NEW"])
      yield* b.receive(callback("NEWER", now + 1))
      assert.deepStrictEqual([yield* textOf(a), yield* textOf(b)], ["NEWER", "NEWER"])
    }))

  scenario(
    "with an impossible time is not the last one for ever, and seconds are understood",
    (time) =>
      Effect.gen(function*() {
        const tickets = yield* make()
        yield* tickets.receive(stream("1", 9e15))
        yield* time.advance("5 seconds")
        yield* tickets.receive(stream("2", time.now()))
        assert.strictEqual(yield* textOf(tickets), "2")
        yield* time.advance("5 seconds")
        yield* tickets.receive(callback("3", Math.floor(time.now() / 1000)))
        assert.strictEqual(yield* textOf(tickets), "3")
      })
  )

  for (const mode of ["fails", "hangs", "readOnly", "refusesWrites", "breaks"] as const) {
    scenario(
      `while the store ${mode}: it is not acknowledged, and this process goes on with it`,
      (time) =>
        Effect.gen(function*() {
          const store = yield* sharedStore.make()
          const [a, b] = yield* all([make(store.process().layer), make(store.process().layer)])
          store.become(mode)
          const error = yield* during(time, Effect.flip(a.receive(stream("T", time.now()))), "5 seconds")
          assert.strictEqual(error._tag, "TokenStoreError")
          assert.strictEqual(yield* during(time, textOf(a), "5 seconds"), "T")
          store.become("well")
          yield* time.advance("5 seconds")
          assert.isTrue(yield* a.receive(stream("T", time.now() - 15_000)))
          assert.strictEqual(yield* textOf(b), "T")
        })
    )
  }

  scenario("that nobody can say is a store error; that nobody has says what to do", (time) =>
    Effect.gen(function*() {
      const store = yield* sharedStore.make()
      const tickets = yield* make(store.process().layer)
      assert.match((yield* Effect.flip(tickets.get)).message, /SuiteTicket\.receive/)
      store.become("fails")
      const error = (yield* Effect.flip(tickets.get)) as DingTalkError.TransportError
      assert.deepStrictEqual([error._tag, error.reason], ["TransportError", "Store"])
      store.become("well")
      yield* time.advance("5 seconds")
      assert.strictEqual((yield* Effect.flip(tickets.get))._tag, "InvalidCredentials")
    }))
})

describe("a third-party app", () => {
  scenario(
    "without a ticket fails at once, for any number of organisations, and sends nothing",
    (time) =>
      Effect.gen(function*() {
        const fake = platform(time)
        const { of, suite } = yield* thirdParty(fake)
        const errors = yield* all(
          [suite.get, ...Array.from({ length: 100 }, (_, i) => of(`ding${i}`).get)].map(Effect.flip)
        )
        assert.isTrue(errors.every((error) => error._tag === "InvalidCredentials" && /receive/.test(error.message)))
        assert.deepStrictEqual(fake.tickets, [])
      })
  )

  scenario(
    "has its own token, and those of organisations, from the ticket that was received",
    (time) =>
      Effect.gen(function*() {
        const fake = platform(time)
        const { of, suite, tickets } = yield* thirdParty(fake)
        yield* Effect.flip(of("ding1").get)
        yield* tickets.receive(stream("T1", time.now()))
        const values = yield* during(time, all([valueOf(suite), valueOf(of("ding1"))]), "1 second")
        assert.deepStrictEqual(values, [
          "https://api.dingtalk.com suite1 suite 1",
          "https://api.dingtalk.com suite1 ding1 1"
        ])
        assert.deepStrictEqual(fake.tickets, ["T1", "T1"])
      })
  )

  scenario(
    "sends a ticket that was refused once, for all organisations, and works at once with the next",
    (time) =>
      Effect.gen(function*() {
        const fake = platform(time)
        fake.accept("T2")
        const { of, tickets } = yield* thirdParty(fake)
        yield* tickets.receive(stream("T1", time.now()))
        for (let i = 0; i < 100; i++) {
          const error = yield* during(time, Effect.flip(of(`ding${i % 20}`).get), "1 second")
          assert.strictEqual(error._tag, "InvalidCredentials")
        }
        assert.deepStrictEqual(fake.tickets, ["T1"])
        yield* tickets.receive(stream("T2", time.now()))
        assert.include(yield* during(time, valueOf(of("ding1")), "1 second"), "ding1")
        assert.deepStrictEqual(fake.tickets, ["T1", "T2"])
      })
  )

  scenario(
    "sees in the store what another process has received, and after a restart",
    (time) =>
      Effect.gen(function*() {
        const store = yield* sharedStore.make()
        const fake = platform(time)
        fake.accept("T2")
        const a = yield* thirdParty(fake, {}, store.process().layer)
        const b = yield* thirdParty(fake, {}, store.process().layer)
        yield* a.tickets.receive(stream("T1", time.now()))
        yield* during(time, Effect.flip(b.of("ding1").get), "1 second")
        yield* a.tickets.receive(stream("T2", time.now()))
        yield* during(time, b.of("ding1").get, "1 second")
        const restarted = yield* thirdParty(fake, {}, store.process().layer)
        yield* restarted.of("ding1").get
        yield* during(time, restarted.of("ding2").get, "1 second")
        assert.deepStrictEqual(fake.tickets, ["T1", "T2", "T2"])
      })
  )

  scenario("whose fixed ticket is refused waits as with a wrong secret", (time) =>
    Effect.gen(function*() {
      const fake = platform(time)
      fake.accept("other")
      const { of } = yield* thirdParty(fake, { suiteTicket: Redacted.make("fixed") })
      for (let i = 0; i < 10; i++) yield* during(time, Effect.flip(of("ding1").get), "1 second")
      assert.strictEqual(fake.tickets.length, 1)
    }))
})
