import { TokenStore } from "@effect-dingtalk/auth"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Exit, FastCheck, Fiber, Layer, Option, TestClock } from "effect"
import { counted, encryptionKey, logged, shown, token, tokenStoreContract } from "./contract/tokenStore.js"

const shared = Effect.runSync(TokenStore.backingMemory)

tokenStoreContract("memory", { open: Effect.succeed(shared) })

const key: TokenStore.Key = { host: "https://api.dingtalk.com", clientId: "ding1", kind: "app" }
const SECRET = "sentinel-of-a-token"
const keep = { replaces: undefined, keepFor: Duration.hours(1) }

/** A backing that does the same whatever it is asked, and how often it was asked. */
const always = (answer: () => Effect.Effect<any, any>) => {
  const asked: Array<string> = []
  const ask = (operation: string) => () => {
    asked.push(operation)
    return answer()
  }
  const backing: TokenStore.Backing = {
    read: ask("read"),
    write: ask("write"),
    remove: ask("remove"),
    acquire: ask("acquire"),
    release: ask("release")
  }
  return { asked, backing }
}

const operationsOf = (store: TokenStore.Service) =>
  ({
    read: store.read(key),
    write: store.write(key, token(SECRET), keep),
    remove: store.remove(key),
    acquire: store.lease(key)
  }) as const

const down = new TokenStore.TokenStoreError({ operation: "read", description: "connection refused" })

/** Driver errors that show what they were given, as those of databases do. */
class DriverError extends Error {
  readonly parameters = [SECRET]
  constructor() {
    super(`insert failed: ${SECRET}`)
  }
}

describe("a store that does not work", () => {
  const faults: Record<string, { readonly answer: () => Effect.Effect<any, any>; readonly says: RegExp }> = {
    "fails": { answer: () => Effect.fail(down), says: /connection refused/ },
    "fails with what no store may": { answer: () => Effect.fail(new DriverError()), says: /the store broke/ },
    "dies": { answer: () => Effect.die(new DriverError()), says: /the store broke/ },
    "throws before it begins": {
      answer: () => {
        throw new DriverError()
      },
      says: /the store broke/
    },
    "interrupts itself": { answer: () => Effect.interrupt, says: /the store broke/ },
    "fails and dies at once": {
      answer: () => Effect.zipRight(Effect.fail(down), Effect.die(new DriverError()), { concurrent: true }),
      says: /connection refused|the store broke/
    },
    "hangs": { answer: () => Effect.never, says: /no answer within 1s/ },
    "hangs and cannot be interrupted": {
      answer: () => Effect.uninterruptible(Effect.never),
      says: /no answer within 1s/
    },
    "hangs when it is to stop": {
      answer: () => Effect.onInterrupt(Effect.never, () => Effect.never),
      says: /no answer within 1s/
    }
  }
  for (const [what, { answer, says }] of Object.entries(faults)) {
    for (const operation of ["read", "write", "remove", "acquire"] as const) {
      it.scoped(`one that ${what} makes a ${operation} fail in time, and shows nothing`, () =>
        Effect.gen(function*() {
          const { asked, backing } = always(answer)
          const store = yield* TokenStore.make(backing, { encryption: undefined })
          const { lines, value: exit } = yield* logged(Effect.gen(function*() {
            const fiber = yield* Effect.fork(Effect.exit<any, TokenStore.TokenStoreError, never>(
              operationsOf(store)[operation]
            ))
            yield* TestClock.adjust("1 second")
            return yield* Fiber.join(fiber)
          }))
          assert.deepStrictEqual(asked, [operation])
          const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
          assert.instanceOf(error, TokenStore.TokenStoreError)
          assert.match((error as TokenStore.TokenStoreError).message, says)
          assert.strictEqual(lines.length, 1)
          assert.match(lines[0]!, says)
          assert.include(lines[0], "WARN")
          for (const all of [shown(error), shown(exit), lines.join()]) assert.notInclude(all, SECRET)
        }))
    }
  }

  it.scoped("its own timeout is what counts, and what comes in time is an answer", () =>
    Effect.gen(function*() {
      const { backing } = always(() => Effect.delay(Effect.succeed(undefined), "200 millis"))
      const slow = yield* TokenStore.make(backing, { timeout: "300 millis" })
      const hasty = yield* TokenStore.make(backing, { timeout: "100 millis" })
      const found = yield* Effect.fork(slow.read(key))
      const failed = yield* Effect.fork(Effect.flip(hasty.read(key)))
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(yield* Fiber.join(found), { token: undefined, version: undefined })
      assert.include((yield* Fiber.join(failed)).message, "no answer within 100ms")
    }))

  it.scoped("a caller that goes away stops it, and that is no failure", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const { asked, backing } = always(() =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      )
      const store = yield* TokenStore.make(backing)
      const { lines } = yield* logged(Effect.gen(function*() {
        const fiber = yield* Effect.fork(store.read(key))
        yield* TestClock.adjust("100 millis")
        yield* Fiber.interrupt(fiber)
        yield* Effect.yieldNow()
        assert.strictEqual(interrupted, 1)
        yield* Effect.fork(store.read(key))
        yield* TestClock.adjust("1 millis")
      }))
      assert.strictEqual(asked.length, 2)
      assert.deepStrictEqual(lines, [])
    }))

  it.scoped("is left alone for the cool-down, and asked again after it", () =>
    Effect.gen(function*() {
      const { asked, backing } = always(() => Effect.fail(down))
      const store = yield* TokenStore.make(backing)
      yield* Effect.exit(store.read(key))
      yield* TestClock.adjust("4999 millis")
      for (const operation of Object.values(operationsOf(store))) {
        assert.include((yield* Effect.flip<any, TokenStore.TokenStoreError, never>(operation)).message, "not asked")
      }
      assert.strictEqual(asked.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.include((yield* Effect.flip(store.read(key))).message, "connection refused")
      assert.strictEqual(asked.length, 2)
    }))

  it.scoped("a clock that is set back does not make the cool-down last", () =>
    Effect.gen(function*() {
      const { asked, backing } = always(() => Effect.fail(down))
      const store = yield* TokenStore.make(backing)
      yield* TestClock.setTime(10_000_000)
      yield* Effect.exit(store.read(key))
      yield* TestClock.setTime(5_000_000)
      yield* Effect.exit(store.read(key))
      assert.strictEqual(asked.length, 2)
      yield* Effect.exit(store.read(key))
      assert.strictEqual(asked.length, 2)
    }))

  it.scoped("one warning for an outage, however long; another for the next", () =>
    Effect.gen(function*() {
      let isDown = true
      const { backing } = always(() => isDown ? Effect.fail(down) : Effect.succeed(undefined))
      const store = yield* TokenStore.make(backing)
      const minutes = Effect.forEach(Array.from({ length: 30 }), () =>
        Effect.zipRight(
          Effect.all(Array.from({ length: 5 }, () => Effect.exit(store.read(key))), { concurrency: "unbounded" }),
          TestClock.adjust("5 seconds")
        ))
      const first = yield* logged(minutes)
      assert.strictEqual(first.lines.length, 1)
      isDown = false
      const between = yield* logged(minutes)
      assert.strictEqual(between.lines.length, 0)
      isDown = true
      const second = yield* logged(minutes)
      assert.strictEqual(second.lines.length, 1)
    }))

  it.scoped("a name that is too long is the caller's fault: nobody is asked, nothing cools down", () =>
    Effect.gen(function*() {
      const { asked, backing } = always(() => Effect.succeed(undefined))
      const store = yield* TokenStore.make(backing)
      const { lines, value: error } = yield* logged(Effect.flip(store.read({ ...key, subject: "漢".repeat(100) })))
      assert.include(error.message, "characters")
      assert.deepStrictEqual(asked, [])
      assert.deepStrictEqual(lines, [])
      yield* store.read(key)
      assert.deepStrictEqual(asked, ["read"])
    }))
})

describe("a store that answers garbage", () => {
  const garbage: ReadonlyArray<unknown> = [
    null,
    {},
    [],
    "row",
    7,
    { text: 7, version: "v" },
    { text: null, version: "v" },
    { text: "{}", version: 7 },
    { text: "{}" },
    { text: "", version: "v" },
    { text: "{\"value\":7}", version: "v" },
    { text: "null", version: "v" },
    { text: `{"value":"${SECRET}"`, version: "v" },
    { text: `{"value":"${SECRET}","issuedAt":"x","expiresAt":1}`, version: "v" },
    { text: "aes256gcm", version: "v" },
    { text: "aes256gcm....", version: "v" },
    { text: "aes256gcm.k1.AAAA.AAAA", version: "v" },
    { text: "aes256gcm.k1.AAAAAAAAAAAAAAAA.", version: "v" },
    { text: `aes256gcm.${SECRET}\n.AAAA.AAAA`, version: "v" },
    { text: "\u0000\uffff", version: "v" }
  ]
  for (const [i, answer] of garbage.entries()) {
    it.scoped(`is a store without that row (${i + 1})`, () =>
      Effect.gen(function*() {
        const { backing } = always(() => Effect.succeed(answer))
        for (const encryption of [undefined, { keys: [encryptionKey("k1")], allowUnencrypted: i % 2 === 0 }] as const) {
          const store = yield* TokenStore.make(backing, { encryption })
          const { lines, value: found } = yield* logged(store.read(key))
          assert.isUndefined(found.token)
          assert.include([undefined, "v"], found.version)
          assert.strictEqual(lines.length, 1)
          assert.notInclude(lines.join(), SECRET)
          // Neither a yes nor a no is a no.
          assert.isUndefined(yield* store.write(key, token(SECRET), keep))
          assert.isUndefined(yield* store.lease(key))
        }
      }))
  }
})

describe("what a backing is given", () => {
  it.scoped.prop(
    "is ASCII, whatever is in a token, and comes back as it was",
    { text: FastCheck.fullUnicodeString(), isEncrypted: FastCheck.boolean() },
    ({ isEncrypted, text }) =>
      Effect.gen(function*() {
        const backing = yield* TokenStore.backingMemory
        const texts: Array<string> = []
        const store = yield* TokenStore.make({
          ...backing,
          write: (name, row, options) => {
            texts.push(name, row.text, row.version)
            return backing.write(name, row, options)
          }
        }, { encryption: isEncrypted ? { keys: [encryptionKey("k1")] } : undefined })
        const stored = { ...token(text), corpId: text }
        const version = yield* store.write({ ...key, subject: "x" }, stored, keep)
        assert.deepStrictEqual(yield* store.read({ ...key, subject: "x" }), { token: stored, version })
        for (const text of texts) assert.match(text, /^[\x20-\x7e]+$/)
        assert.match(version!, /^[\w-]{22}$/)
      })
  )

  it.scoped("lasts for as long as the token, or as long as it is told", () =>
    Effect.gen(function*() {
      const kept: Array<number> = []
      const { backing } = always(() => Effect.succeed(true))
      const store = yield* TokenStore.make({
        ...backing,
        write: (_, __, { keepFor }) => Effect.sync(() => kept.push(Duration.toMillis(keepFor)) > 0)
      })
      yield* TestClock.setTime(1000)
      yield* store.write(key, token("t", 7_201_000), { replaces: undefined })
      yield* store.write(key, token("t", 500), { replaces: undefined })
      yield* store.write(key, token("t", 500), { replaces: undefined, keepFor: Duration.days(30) })
      assert.deepStrictEqual(kept, [7_200_000, 1000, 30 * 86_400_000])
    }))

  it.scoped("a lease is renewed and released by who took it, and has an owner of its own each time", () =>
    Effect.gen(function*() {
      const store = yield* TokenStore.make(yield* TokenStore.backingMemory, { leaseFor: "2 seconds" })
      const lease = yield* store.lease(key)
      assert.isDefined(lease)
      assert.isUndefined(yield* store.lease(key))
      yield* TestClock.adjust("1500 millis")
      assert.isTrue(yield* lease!.renew)
      yield* TestClock.adjust("1500 millis")
      assert.isUndefined(yield* store.lease(key))
      yield* TestClock.adjust("500 millis")
      const next = yield* store.lease(key)
      assert.isDefined(next)
      assert.isFalse(yield* lease!.renew)
      yield* lease!.release
      assert.isUndefined(yield* store.lease(key))
      yield* next!.release
      assert.isDefined(yield* store.lease(key))
    }))
})

describe("the name of a key", () => {
  const part = FastCheck.oneof(
    FastCheck.fullUnicodeString({ maxLength: 6 }),
    FastCheck.stringOf(FastCheck.constantFrom("%", "/", ".", "0", "2", "f", "F", ":", "=", "https://"), {
      maxLength: 6
    }),
    FastCheck.constantFrom("https://api.dingtalk.com", "api.dingtalk.com", "http://api.dingtalk.com", "")
  )
  const keys = FastCheck.record({ host: part, clientId: part, kind: part, subject: part })

  it.prop("tells two apart that differ in anything, and is ASCII", { one: keys, other: keys }, ({ one, other }) => {
    const [a, b] = [TokenStore.nameOf(one), TokenStore.nameOf(other)]
    assert.strictEqual(a === b, JSON.stringify(one) === JSON.stringify(other))
    assert.match(a, /^[\x21-\x7e]+$/)
    const moved = { ...one, host: one.clientId, clientId: one.host }
    assert.strictEqual(TokenStore.nameOf(moved) === a, one.host === one.clientId)
  }, { fastCheck: { numRuns: 2000 } })

  it("tells hosts apart that differ in their scheme alone", () => {
    const names = ["https://h", "http://h", "h", "=h", "https://https://h", "HTTPS://h"].map((host) =>
      TokenStore.nameOf({ ...key, host })
    )
    assert.strictEqual(new Set(names).size, names.length)
  })
})

describe("layers", () => {
  it.scoped("what is built on one memory shares it; another has its own", () =>
    Effect.gen(function*() {
      class One extends Context.Tag("One")<One, TokenStore.Service>() {}
      class Other extends Context.Tag("Other")<Other, TokenStore.Service>() {}
      const memory = TokenStore.layerMemory()
      const context = yield* Layer.build(Layer.mergeAll(
        Layer.provide(Layer.effect(One, TokenStore.TokenStore), memory),
        Layer.provide(Layer.effect(Other, TokenStore.TokenStore), memory)
      ))
      const version = yield* Context.get(context, One).write(key, token("value"), keep)
      assert.strictEqual((yield* Context.get(context, Other).read(key)).version, version)
      const another = yield* Layer.build(TokenStore.layerMemory())
      assert.isUndefined((yield* Context.get(another, TokenStore.TokenStore).read(key)).version)
    }))

  it.scoped("the failing one fails whatever it is asked", () =>
    Effect.gen(function*() {
      const store = yield* TokenStore.TokenStore
      for (const operation of Object.values(operationsOf(store))) {
        const error = yield* Effect.flip<any, TokenStore.TokenStoreError, never>(operation)
        assert.instanceOf(error, TokenStore.TokenStoreError)
      }
    }).pipe(Effect.provide(TokenStore.layerTestFailing)))
})

describe.sequential("metrics", () => {
  it.scoped("count every failure by its operation, and no refusal to ask", () =>
    Effect.gen(function*() {
      const { backing } = always(() => Effect.fail(down))
      const store = yield* TokenStore.make(backing, { coolDown: "1 second" })
      for (const [operation, effect] of Object.entries(operationsOf(store))) {
        const before = counted("dingtalk.client.token.store.failures", operation)
        yield* Effect.exit<any, TokenStore.TokenStoreError, never>(effect)
        yield* Effect.exit<any, TokenStore.TokenStoreError, never>(effect)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(counted("dingtalk.client.token.store.failures", operation), before + 1)
      }
    }))

  it.scoped("count every record that cannot be read", () =>
    Effect.gen(function*() {
      const { backing } = always(() => Effect.succeed({ text: "garbage", version: "v" }))
      const store = yield* TokenStore.make(backing)
      const before = counted("dingtalk.client.token.store.unreadable")
      yield* Effect.repeatN(store.read(key), 2)
      assert.strictEqual(counted("dingtalk.client.token.store.unreadable"), before + 3)
    }))
})
