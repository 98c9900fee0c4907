import type { UserSession } from "@effect-dingtalk/auth"
import { AppCredentials, TokenStore, UserSessions } from "@effect-dingtalk/auth"
import { DingTalk, DingTalkError, Endpoint, OAuth2 } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Duration, Effect, Either, FastCheck, Fiber, Layer, Logger, Option, Redacted } from "effect"
import { createHash } from "node:crypto"
import * as sharedStore from "./simulation/sharedStore.js"
import * as virtualTime from "./simulation/virtualTime.js"

type Time = ReturnType<typeof virtualTime.make>
type Payload = Endpoint.Endpoint.Payload<typeof OAuth2.GetUserToken>

const quiet = Logger.remove(Logger.defaultLogger)
const badCode = new DingTalkError.InvalidAuthCode({
  endpoint: "oauth2.getUserToken",
  code: "invalidParameter.authCode.notFound"
})

/** Codes and refresh tokens are good for one use; the second use of one that was good is noted. */
const platform = (options: { readonly takes?: () => Duration.DurationInput } = {}) => {
  const good = new Set<string>()
  const spent = new Set<string>()
  const log: Array<string> = []
  const twice: Array<string> = []
  let nth = 0
  let isBusy = false
  let answering: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E> = (effect) => effect
  type Answer = { readonly accessToken: string; readonly refreshToken: string; readonly expireIn: number }
  const exchange = (payload: Payload) =>
    Effect.suspend((): Effect.Effect<Answer, DingTalkError.Unavailable | DingTalkError.InvalidAuthCode> => {
      const grant = Redacted.value(payload.grantType === "authorization_code" ? payload.code : payload.refreshToken)
      log.push(grant)
      if (isBusy) return Effect.fail(new DingTalkError.Unavailable({ endpoint: "oauth2.getUserToken" }))
      if (payload.grantType === "authorization_code" && grant.startsWith("code")) good.add(grant)
      if (!good.delete(grant)) {
        if (spent.has(grant)) twice.push(grant)
        return Effect.fail(badCode)
      }
      spent.add(grant)
      const n = ++nth
      good.add(`REFRESH-${n}`)
      return Effect.succeed({ accessToken: `ACCESS-${n}`, refreshToken: `REFRESH-${n}`, expireIn: 7200 })
    })
  return {
    log,
    twice,
    refreshes: () => log.filter((grant) => grant.startsWith("REFRESH")).length,
    busy: (is: boolean) => {
      isBusy = is
    },
    /** what happens to an answer on its way back */
    answer: (how: typeof answering) => {
      answering = how
    },
    layer: Layer.merge(
      AppCredentials.layer({ clientId: "ding1", clientSecret: Redacted.make("s") }),
      DingTalk.layerTest([
        Endpoint.handle(
          OAuth2.GetUserToken,
          (payload) => answering(Effect.tap(exchange(payload), () => Effect.sleep(options.takes?.() ?? 0)))
        )
      ])
    )
  }
}

const world = (options: Parameters<typeof platform>[0] = {}) =>
  Effect.gen(function*() {
    const users = platform(options)
    const store = yield* sharedStore.make()
    const start = (hooks: Parameters<typeof store.process>[0] = {}) =>
      Effect.gen(function*() {
        const process = store.process(hooks)
        const context = yield* Layer.build(Layer.merge(users.layer, process.layer))
        const run = Effect.provide(context)
        return {
          die: process.die,
          signIn: (id: string, code = "code-1") => run(UserSessions.signIn({ id, authCode: Redacted.make(code) })),
          open: (id: string) => run(UserSessions.open({ id })),
          end: (id: string) => run(UserSessions.signOut({ id }))
        }
      })
    const inspector = yield* TokenStore.make(store.memory)
    const keyOf = (id: string): TokenStore.Key => ({
      host: "",
      clientId: "ding1",
      kind: "user",
      subject: createHash("sha256").update(id).digest("hex")
    })
    return {
      users,
      store,
      start,
      record: (id: string) => Effect.map(inspector.read(keyOf(id)), ({ token }) => token),
      nameOf: (id: string) => TokenStore.nameOf(keyOf(id))
    }
  })

const settled = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
const valueOf = (session: UserSession.Session) => Effect.map(session.get, (token) => Redacted.value(token.value))
const all = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) => Effect.all(effects, { concurrency: "unbounded" })
const during = <A, E>(time: Time, effect: Effect.Effect<A, E>, duration: Duration.DurationInput) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* settled
    yield* time.advance(duration)
    // The hash of an id takes time of its own, by the clock on the wall.
    for (let i = 0; i < 100 && Option.isNone(yield* Fiber.poll(fiber)); i++) {
      yield* settled
      yield* time.advance("100 millis")
    }
    return yield* Fiber.join(fiber)
  })

const scenario = (name: string, test: (time: Time) => Effect.Effect<void, unknown, Scope.Scope>): void =>
  it.live(name, () => {
    const time = virtualTime.make()
    return time.run(Effect.scoped(Effect.suspend(() => test(time)))).pipe(Effect.provide(quiet))
  }, 5_000)

describe("a session in the store", () => {
  scenario("is opened in another process, with its token, without an exchange", (time) =>
    Effect.gen(function*() {
      const { start, users } = yield* world()
      const [a, b] = yield* Effect.all([start(), start()])
      yield* a.signIn("cookie")
      assert.strictEqual(yield* valueOf(yield* b.open("cookie")), "ACCESS-1")
      yield* time.advance("1 hour")
      assert.strictEqual(yield* valueOf(yield* b.open("cookie")), "ACCESS-1")
      assert.deepStrictEqual(users.log, ["code-1"])
    }))

  scenario("is kept under the hash of its id, and never in clear", () =>
    Effect.gen(function*() {
      const { nameOf, start, store } = yield* world()
      yield* (yield* start()).signIn("SECRET-COOKIE")
      assert.isTrue(store.texts.every((text) => text.startsWith(nameOf("SECRET-COOKIE"))))
      assert.notInclude(store.texts.join(), "SECRET-COOKIE")
    }))

  scenario("that nobody has is SignInRequired, and an empty id an error that names it", () =>
    Effect.gen(function*() {
      const { start, store } = yield* world()
      const { end, open, signIn } = yield* start()
      assert.strictEqual((yield* Effect.flip(open("nobody")))._tag, "SignInRequired")
      for (const failing of [Effect.asVoid(open(" ")), Effect.asVoid(signIn("")), end("\n")]) {
        const error = (yield* Effect.flip(failing as Effect.Effect<void, unknown>)) as DingTalkError.TransportError
        assert.deepStrictEqual([error._tag, error.reason, error.path], ["TransportError", "Encode", "id"])
      }
      assert.notInclude(store.calls, "write")
    }))

  scenario("cannot be opened while the store fails, which says so", () =>
    Effect.gen(function*() {
      const { start, store } = yield* world()
      const { open, signIn } = yield* start()
      yield* signIn("cookie")
      store.become("fails")
      const error = (yield* Effect.flip(open("cookie"))) as DingTalkError.TransportError
      assert.deepStrictEqual([error._tag, error.reason, error.isRetryable], ["TransportError", "Store", true])
    }))
})

describe("a refresh", () => {
  scenario(
    "by 8 processes at once makes one exchange, and all end with the same new session",
    (time) =>
      Effect.gen(function*() {
        const { start, users } = yield* world({ takes: () => "1 second" })
        const first = yield* start()
        yield* during(time, first.signIn("cookie"), "1 second")
        const sessions = yield* all(
          (yield* Effect.all(Array.from({ length: 8 }, () => start()))).map(({ open }) => open("cookie"))
        )
        yield* time.advance("3 hours")
        const values = yield* during(time, all(sessions.map(valueOf)), "5 seconds")
        assert.deepStrictEqual(new Set(values), new Set(["ACCESS-2"]))
        const tokens = yield* all(sessions.map((session) => session.tokens))
        assert.deepStrictEqual(
          new Set(tokens.map((each) => Redacted.value(each.refreshToken!))),
          new Set(["REFRESH-2"])
        )
        assert.deepStrictEqual(users.log, ["code-1", "REFRESH-1"])
      })
  )

  scenario("by two requests of one process at once makes one exchange", (time) =>
    Effect.gen(function*() {
      const { start, users } = yield* world()
      const { open, signIn } = yield* start()
      yield* signIn("cookie")
      yield* time.advance("3 hours")
      const one = Effect.flatMap(open("cookie"), valueOf)
      const sessions = yield* all([open("cookie"), open("cookie")])
      assert.deepStrictEqual(yield* during(time, all(sessions.map(valueOf)), "1 second"), ["ACCESS-2", "ACCESS-2"])
      assert.strictEqual(yield* one, "ACCESS-2")
      assert.deepStrictEqual(users.log, ["code-1", "REFRESH-1"])
    }))

  scenario("after a rejection in one process is adopted by the other", (time) =>
    Effect.gen(function*() {
      const { start, users } = yield* world()
      const [a, b] = yield* Effect.all([start(), start()])
      const [mine, theirs] = [yield* a.signIn("cookie"), yield* b.open("cookie")]
      for (const session of [mine, theirs]) yield* session.invalidate(Redacted.make("ACCESS-1"))
      assert.deepStrictEqual(yield* during(time, all([valueOf(mine), valueOf(theirs)]), "1 second"), [
        "ACCESS-2",
        "ACCESS-2"
      ])
      assert.deepStrictEqual(users.log, ["code-1", "REFRESH-1"])
    }))

  scenario("that the platform cannot make now is made later, by anybody", (time) =>
    Effect.gen(function*() {
      const { start, users } = yield* world()
      const [a, b] = yield* Effect.all([start(), start()])
      const mine = yield* a.signIn("cookie")
      const theirs = yield* b.open("cookie")
      yield* time.advance("3 hours")
      users.busy(true)
      assert.strictEqual((yield* Effect.flip(mine.get))._tag, "Unavailable")
      users.busy(false)
      // At once: what was not spent is not taken for being spent.
      assert.strictEqual(yield* valueOf(theirs), "ACCESS-2")
      assert.strictEqual(yield* valueOf(mine), "ACCESS-2")
      assert.deepStrictEqual(users.twice, [])
    }))
})

describe("a process that dies", () => {
  scenario(
    "between the exchange and the write: the person must sign in, and nobody hangs or asks again",
    (time) =>
      Effect.gen(function*() {
        const { start, users } = yield* world()
        const [a, b] = yield* Effect.all([start(), start()])
        const mine = yield* a.signIn("cookie")
        const theirs = yield* b.open("cookie")
        yield* time.advance("3 hours")
        // The answer arrives, and the process is gone.
        users.answer((effect) => Effect.tap(effect, () => Effect.sync(a.die)))
        yield* Effect.fork(Effect.ignore(mine.get))
        yield* time.advance("100 millis")
        users.answer((effect) => effect)
        const from = time.now()
        const error = yield* during(time, Effect.tap(Effect.flip(theirs.get), () => time.now() - from), "9 seconds")
        assert.strictEqual(error._tag, "SignInRequired")
        assert.strictEqual(users.refreshes(), 2)
        // Whoever comes after that learns it from the store: no request for a session that is known to be over.
        for (let i = 0; i < 5; i++) {
          const again = yield* (yield* start()).open("cookie")
          assert.strictEqual((yield* Effect.flip(again.get))._tag, "SignInRequired")
          yield* time.advance("1 minute")
        }
        assert.strictEqual(users.refreshes(), 2)
        // And signing in mends it.
        yield* b.signIn("cookie", "code-2")
        assert.strictEqual(yield* valueOf(yield* b.open("cookie")), "ACCESS-3")
      })
  )

  scenario("before the exchange: the next one makes it, within 9 seconds", (time) =>
    Effect.gen(function*() {
      const { start, users } = yield* world()
      let marks = 0
      let die = () => {}
      const dying = Effect.suspend(() => {
        die()
        return Effect.never
      })
      const a = yield* start({
        write: (write) => Effect.tap(write, () => ++marks === 2 ? dying : Effect.void)
      })
      die = a.die
      const b = yield* start()
      const mine = yield* a.signIn("cookie")
      const theirs = yield* b.open("cookie")
      yield* time.advance("3 hours")
      yield* Effect.fork(Effect.ignore(mine.get))
      yield* time.advance("10 millis")
      assert.strictEqual(yield* during(time, valueOf(theirs), "9 seconds"), "ACCESS-2")
      assert.deepStrictEqual(users.log, ["code-1", "REFRESH-1"])
    }))

  scenario(
    "only for the others, being slow: what it brings is taken by all, and spent once",
    (time) =>
      Effect.gen(function*() {
        const { start, users } = yield* world()
        const a = yield* start({ neverRenews: true })
        const b = yield* start()
        const mine = yield* a.signIn("cookie")
        const theirs = yield* b.open("cookie")
        yield* time.advance("3 hours")
        users.answer((effect) => Effect.tap(effect, () => Effect.sleep("4 seconds")))
        const values = yield* during(time, all([valueOf(mine), valueOf(theirs)]), "9 seconds")
        assert.deepStrictEqual(values, ["ACCESS-2", "ACCESS-2"])
        assert.deepStrictEqual(users.twice, [])
      })
  )

  scenario(
    "only for the others, and far too slow: at worst one refusal, and what it brings is kept for all",
    (time) =>
      Effect.gen(function*() {
        const { start, users } = yield* world()
        const a = yield* start({ neverRenews: true })
        const b = yield* start()
        const mine = yield* a.signIn("cookie")
        const theirs = yield* b.open("cookie")
        yield* time.advance("3 hours")
        let isFirst = true
        users.answer((effect) => {
          const slow = isFirst
          isFirst = false
          return slow ? Effect.tap(effect, () => Effect.sleep("8 seconds")) : effect
        })
        const calls = yield* Effect.fork(
          Effect.all([valueOf(mine), Effect.either(valueOf(theirs))], { concurrency: 2 })
        )
        yield* time.advance("9 seconds")
        const [first, second] = yield* Fiber.join(calls)
        assert.strictEqual(first, "ACCESS-2")
        assert.isTrue(Either.isLeft(second))
        yield* time.advance("31 seconds")
        assert.strictEqual(yield* valueOf(theirs), "ACCESS-2")
        assert.strictEqual(yield* valueOf(yield* b.open("cookie")), "ACCESS-2")
        yield* time.advance("3 hours")
        assert.strictEqual(yield* valueOf(theirs), "ACCESS-3")
      })
  )
})

describe("a store that is down", () => {
  scenario(
    "when a refresh is due: the token in use serves on, nothing is spent, and later it works",
    (time) =>
      Effect.gen(function*() {
        const { start, store, users } = yield* world()
        const session = yield* (yield* start()).signIn("cookie")
        yield* time.advance("111 minutes")
        store.become("fails")
        assert.strictEqual(yield* valueOf(session), "ACCESS-1")
        yield* time.advance("8 minutes")
        assert.strictEqual(yield* valueOf(session), "ACCESS-1")
        assert.strictEqual(users.refreshes(), 0)
        yield* time.advance("2 minutes")
        const error = (yield* Effect.flip(session.get)) as DingTalkError.TransportError
        assert.deepStrictEqual([error._tag, error.reason], ["TransportError", "Store"])
        assert.strictEqual(users.refreshes(), 0)
        store.become("well")
        yield* time.advance("6 seconds")
        assert.strictEqual(yield* valueOf(session), "ACCESS-2")
        assert.deepStrictEqual(users.twice, [])
      })
  )

  for (const mode of sharedStore.modes) {
    scenario(
      `(${mode}) after the exchange: the tokens serve, and are written when it is up again`,
      (time) =>
        Effect.gen(function*() {
          const { record, start, store, users } = yield* world()
          const session = yield* (yield* start()).signIn("cookie")
          yield* time.advance("3 hours")
          users.answer((effect) => Effect.tap(effect, () => Effect.sync(() => store.become(mode))))
          assert.strictEqual(yield* during(time, valueOf(session), "5 seconds"), "ACCESS-2")
          users.answer((effect) => effect)
          yield* time.advance("20 minutes")
          assert.strictEqual(yield* valueOf(session), "ACCESS-2")
          store.become("well")
          yield* time.advance("1 minute")
          assert.strictEqual(Redacted.value((yield* record("cookie"))!.refreshToken!), "REFRESH-2")
          yield* time.advance("3 hours")
          assert.strictEqual(yield* valueOf(session), "ACCESS-3")
          assert.deepStrictEqual(users.twice, [])
        })
    )
  }

  scenario(
    "after the exchange, and asked again before that is written: the newer tokens are what is spent",
    (time) =>
      Effect.gen(function*() {
        const { start, store, users } = yield* world()
        const session = yield* (yield* start()).signIn("cookie")
        yield* time.advance("111 minutes")
        users.answer((effect) => Effect.tap(effect, () => Effect.sync(() => store.become("fails"))))
        yield* session.get
        yield* time.advance("1 second")
        assert.strictEqual(yield* valueOf(session), "ACCESS-2")
        users.answer((effect) => effect)
        yield* time.advance("2 minutes")
        // The record still has ACCESS-1, which has not ended yet: older than what is at hand, and its refresh token is spent.
        store.become("well")
        yield* time.advance("5 seconds")
        yield* session.invalidate(Redacted.make("ACCESS-2"))
        assert.strictEqual(yield* during(time, valueOf(session), "6 seconds"), "ACCESS-3")
        assert.deepStrictEqual(users.twice, [])
      })
  )

  scenario(
    "at the sign-in: the person is signed in, and the session is in the store later",
    (time) =>
      Effect.gen(function*() {
        const { start, store } = yield* world()
        const { open, signIn } = yield* start()
        store.become("fails")
        const session = yield* signIn("cookie")
        assert.strictEqual(yield* valueOf(session), "ACCESS-1")
        yield* time.advance("10 minutes")
        store.become("well")
        yield* time.advance("1 minute")
        assert.strictEqual(yield* valueOf(yield* open("cookie")), "ACCESS-1")
      })
  )

  scenario("at the sign-in after a sign-out: the new session is in the store later", (time) =>
    Effect.gen(function*() {
      const { start, store } = yield* world()
      const { end, open, signIn } = yield* start()
      yield* signIn("cookie")
      yield* end("cookie")
      yield* time.advance("1 minute")
      store.become("fails")
      yield* signIn("cookie", "code-2")
      store.become("well")
      yield* time.advance("1 minute")
      assert.strictEqual(yield* valueOf(yield* open("cookie")), "ACCESS-2")
    }))
})

describe("a record", () => {
  scenario("that cannot be read is mended by who has the session at hand", (time) =>
    Effect.gen(function*() {
      const { nameOf, record, start, store, users } = yield* world()
      const { open, signIn } = yield* start()
      const session = yield* signIn("cookie")
      const row = yield* store.memory.read(nameOf("cookie"))
      yield* store.memory.write(nameOf("cookie"), { text: "half a rec", version: "v" }, {
        replaces: row!.version,
        keepFor: Duration.days(1)
      })
      assert.strictEqual((yield* Effect.flip(open("cookie")))._tag, "SignInRequired")
      yield* time.advance("3 hours")
      assert.strictEqual(yield* valueOf(session), "ACCESS-2")
      assert.strictEqual(Redacted.value((yield* record("cookie"))!.refreshToken!), "REFRESH-2")
      assert.deepStrictEqual(users.twice, [])
    }))

  scenario("that was lost is written again", (time) =>
    Effect.gen(function*() {
      const { nameOf, start, store } = yield* world()
      const { open, signIn } = yield* start()
      const session = yield* signIn("cookie")
      yield* store.memory.remove(nameOf("cookie"))
      yield* time.advance("3 hours")
      assert.strictEqual(yield* valueOf(session), "ACCESS-2")
      assert.strictEqual(yield* valueOf(yield* open("cookie")), "ACCESS-2")
    }))
})

describe("signing out", () => {
  scenario(
    "ends the session at once for who opens it, and for who holds it at the next refresh",
    (time) =>
      Effect.gen(function*() {
        const { start, users } = yield* world()
        const [a, b] = yield* Effect.all([start(), start()])
        yield* a.signIn("cookie")
        const held = yield* b.open("cookie")
        yield* a.end("cookie")
        assert.strictEqual((yield* Effect.flip(b.open("cookie")))._tag, "SignInRequired")
        assert.strictEqual(yield* valueOf(held), "ACCESS-1")
        yield* time.advance("111 minutes")
        yield* Effect.exit(held.get)
        yield* time.advance("1 second")
        // Though its access token has 9 minutes to live.
        assert.strictEqual((yield* Effect.flip(held.get))._tag, "SignInRequired")
        assert.deepStrictEqual(users.log, ["code-1"])
      })
  )

  scenario("is not undone by who holds the session and asks days later", (time) =>
    Effect.gen(function*() {
      const { start, users } = yield* world()
      const [a, b] = yield* Effect.all([start(), start()])
      yield* a.signIn("cookie")
      const held = yield* b.open("cookie")
      yield* a.end("cookie")
      yield* time.advance("20 days")
      assert.strictEqual((yield* Effect.flip(held.get))._tag, "SignInRequired")
      assert.deepStrictEqual(users.log, ["code-1"])
    }))

  scenario("while another process refreshes: it stays signed out", (time) =>
    Effect.gen(function*() {
      const { start } = yield* world({ takes: () => "2 seconds" })
      const [a, b] = yield* Effect.all([start(), start()])
      yield* during(time, a.signIn("cookie"), "2 seconds")
      const held = yield* b.open("cookie")
      yield* time.advance("3 hours")
      const refreshing = yield* Effect.fork(Effect.exit(held.get))
      yield* time.advance("1 second")
      yield* a.end("cookie")
      yield* time.advance("2 seconds")
      yield* Fiber.join(refreshing)
      assert.strictEqual((yield* Effect.flip(a.open("cookie")))._tag, "SignInRequired")
    }))

  scenario("of a session that nobody has, or twice, is nothing", () =>
    Effect.gen(function*() {
      const { start } = yield* world()
      const { end, signIn } = yield* start()
      yield* end("nobody")
      yield* signIn("cookie")
      yield* end("cookie")
      yield* end("cookie")
    }))

  scenario("fails where the store never takes it, and does not go on for ever", (time) =>
    Effect.gen(function*() {
      const { start, store } = yield* world()
      const { end, signIn } = yield* start()
      yield* signIn("cookie")
      store.become("refusesWrites")
      const error = (yield* during(time, Effect.flip(end("cookie")), "1 second")) as DingTalkError.TransportError
      assert.strictEqual(error.reason, "Store")
    }))

  scenario(
    "and signing in again replaces the session, whoever refreshes the old one meanwhile",
    (time) =>
      Effect.gen(function*() {
        const { start, users } = yield* world()
        const [a, b] = yield* Effect.all([start(), start()])
        yield* a.signIn("cookie")
        const held = yield* b.open("cookie")
        yield* time.advance("3 hours")
        users.answer((effect) => Effect.tap(effect, () => Effect.sleep("1 second")))
        const refreshing = yield* Effect.fork(valueOf(held))
        yield* time.advance("10 millis")
        yield* during(time, a.signIn("cookie", "code-2"), "2 seconds")
        yield* Fiber.join(refreshing)
        const record = yield* (yield* b.open("cookie")).tokens
        assert.strictEqual(Redacted.value(record.accessToken), "ACCESS-3")
      })
  )
})

describe("whatever happens at once", () => {
  const step = FastCheck.oneof(
    { weight: 6, arbitrary: FastCheck.record({ _: FastCheck.constant("get" as const), who: FastCheck.nat(3) }) },
    { weight: 2, arbitrary: FastCheck.record({ _: FastCheck.constant("reject" as const), who: FastCheck.nat(3) }) },
    { weight: 2, arbitrary: FastCheck.record({ _: FastCheck.constant("open" as const), who: FastCheck.nat(3) }) },
    {
      weight: 4,
      arbitrary: FastCheck.record({
        _: FastCheck.constant("pass" as const),
        millis: FastCheck.oneof(FastCheck.nat(5_000), FastCheck.nat(2 * 3_600_000))
      })
    },
    {
      weight: 1,
      arbitrary: FastCheck.record({
        _: FastCheck.constant("store" as const),
        mode: FastCheck.constantFrom<sharedStore.Mode>("well", "well", "fails", "readOnly", "hangs", "breaks")
      })
    }
  )

  it.live(
    "no refresh token is exchanged twice while no process dies, and in the end everybody is signed in",
    () =>
      Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(
            FastCheck.array(step, { maxLength: 25 }),
            FastCheck.array(FastCheck.nat(2_000), { minLength: 1, maxLength: 5 }),
            (steps, durations) => {
              const time = virtualTime.make()
              let nth = 0
              return Effect.gen(function*() {
                const { start, store, users } = yield* world({ takes: () => durations[nth++ % durations.length]! })
                const processes = yield* Effect.all(Array.from({ length: 4 }, () => start()))
                yield* during(time, processes[0]!.signIn("cookie"), "2 seconds")
                const sessions = yield* all(processes.map(({ open }) => open("cookie")))
                const calls: Array<Fiber.Fiber<unknown, unknown>> = []
                for (const each of steps) {
                  if (each._ === "pass") yield* time.advance(each.millis)
                  else if (each._ === "store") store.become(each.mode)
                  else if (each._ === "get") calls.push(yield* Effect.fork(Effect.exit(sessions[each.who]!.get)))
                  else if (each._ === "reject") {
                    yield* sessions[each.who]!.invalidate((yield* sessions[each.who]!.tokens).accessToken)
                  } else {
                    const opened = Effect.either(processes[each.who]!.open("cookie"))
                    const result = yield* during(time, opened, "2 seconds")
                    if (Either.isRight(result)) sessions[each.who] = result.right
                  }
                }
                store.become("well")
                yield* time.advance("2 minutes")
                yield* all(calls.map(Fiber.join))
                assert.deepStrictEqual(users.twice, [])
                yield* time.advance("3 hours")
                const last = yield* during(
                  time,
                  all(sessions.map((each) => Effect.either(valueOf(each)))),
                  "20 seconds"
                )
                assert.isTrue(last.every(Either.isRight), JSON.stringify(last))
                assert.strictEqual(new Set(last.map((each) => Either.getOrThrow(each))).size, 1)
                assert.deepStrictEqual(users.twice, [])
              }).pipe(Effect.scoped, time.run, Effect.provide(quiet), Effect.runPromise)
            }
          ),
          { numRuns: 60 }
        )
      ),
    60_000
  )
})
