/**
 * What every token store promises, as one suite. Run it on a store with `tokenStoreContract("redis", { open, ... })` in a
 * `*.test.ts` of its own. A package other than auth takes this file into its `tsconfig.test.json`:
 * `"include": ["test", "../auth/test/contract"]` and `"rootDir": ".."`.
 */
import { type TokenCipher, TokenStore } from "@effect-dingtalk/auth"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Duration,
  Effect,
  Either,
  Encoding,
  Exit,
  FastCheck,
  HashMap,
  Inspectable,
  Logger,
  Metric,
  Option,
  Redacted,
  type Scope,
  TestClock
} from "effect"

export interface ContractOptions {
  /** a fresh handle on one shared state: called twice, these are two processes */
  readonly open: Effect.Effect<TokenStore.Backing, unknown, Scope.Scope>
  /** damages the row of this key behind the store's back */
  readonly corrupt?: (key: string, how: "garbage" | "truncated" | "empty") => Effect.Effect<void, unknown>
  /** everything that is stored, as text */
  readonly raw?: Effect.Effect<string, unknown>
  /** a handle of which every operation fails, such as on a port where nobody listens */
  readonly broken?: Effect.Effect<TokenStore.Backing, unknown, Scope.Scope>
  /** whose time leases and expiry follow: Effect's `Clock` ("test", the default), or the store's own */
  readonly clock?: "test" | "live"
}

const random = (length: number): string => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => alphabet[byte % 64]).join("")
}

/** As `make` makes them: 22 characters that never come again. */
export const version = (): string => random(22)

/** A key that no other test has, in this run or another one. */
export const unusedKey = (label = "contract"): string => `api.dingtalk.com/${label}-${random(12)}/app/`

export const unusedName = (kind = "app"): TokenStore.Key => ({
  host: "https://api.dingtalk.com",
  clientId: `contract-${random(12)}`,
  kind
})

export const row = (text = `text-${random(8)}`): TokenStore.Row => ({ text, version: version() })

export const encryptionKey = (id: string): TokenCipher.Key => ({
  id,
  secret: Redacted.make(Encoding.encodeBase64(crypto.getRandomValues(new Uint8Array(32))))
})

export const token = (value: string, expiresAt = Number.MAX_SAFE_INTEGER): TokenStore.StoredToken => ({
  value: Redacted.make(value),
  issuedAt: 0,
  expiresAt,
  refreshToken: Redacted.make(`refresh-${value}`)
})

/** All that one could ever see of a value: as a log, as an error of a caller, as JSON. */
export const shown = (value: unknown): string =>
  [
    Inspectable.toStringUnknown(value),
    Inspectable.format(value),
    Cause.isCause(value) ? Cause.pretty(value, { renderErrorCause: true }) : String(value),
    JSON.stringify(value),
    Cause.isCause(value)
      ? [...Cause.failures(value), ...Cause.defects(value)].map((error) =>
        error instanceof Error ? `${error.message} ${error.stack} ${JSON.stringify(error)}` : String(error)
      ).join()
      : ""
  ].join("\n")

/** Runs an effect, and gives what it logged beside what it gave. */
export const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ annotations, cause, logLevel, message }) => {
      const parts = Array.isArray(message) ? message : [message]
      const notes = Array.from(HashMap.entries(annotations), ([key, value]) => `${key}=${shown(value)}`)
      lines.push([logLevel.label, ...parts.map(shown), ...notes, shown(cause)].join(" "))
    })
    return Effect.map(
      Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger)),
      (value) => ({ value, lines })
    )
  })

/** A counter by its name, over all its labels or those that have this one. */
export const counted = (name: string, label?: string): number => {
  let sum = 0
  for (const { metricKey, metricState } of Metric.unsafeSnapshot()) {
    if (metricKey.name !== name) continue
    if (label !== undefined && !metricKey.tags.some(({ value }) => value === label)) continue
    sum += Number((metricState as unknown as { readonly count: number | bigint }).count)
  }
  return sum
}

const UNREADABLE = "dingtalk.client.token.store.unreadable"
const LONG = Duration.hours(2)

export const tokenStoreContract = (name: string, options: ContractOptions): void => {
  const isLive = options.clock === "live"
  const test = isLive ? it.scopedLive : it.scoped
  // Long enough for a few operations of a busy machine, short enough to be waited for.
  const short = Duration.millis(isLive ? 1000 : 60_000)
  const pass = (duration: Duration.DurationInput) => isLive ? Effect.sleep(duration) : TestClock.adjust(duration)
  const passed = pass(Duration.sum(short, Duration.millis(isLive ? 400 : 1)))

  /** What holds while `short` runs. A machine that was too busy to ask in time has shown nothing. */
  const meanwhile = <E, R>(since: number, question: Effect.Effect<boolean, E, R>) =>
    Effect.gen(function*() {
      const holds = yield* question
      const elapsed = (yield* Clock.currentTimeMillis) - since
      if (elapsed < Duration.toMillis(short) * 0.8) assert.isTrue(holds)
    })

  const both = Effect.all([options.open, options.open])
  const write = (
    backing: TokenStore.Backing,
    key: string,
    row: TokenStore.Row,
    replaces?: string,
    keepFor: Duration.Duration = LONG
  ) => backing.write(key, row, { replaces, keepFor })

  const all = <A, E, R>(effects: Iterable<Effect.Effect<A, E, R>>) => Effect.all(effects, { concurrency: "unbounded" })

  describe(`${name}: rows`, () => {
    test("there is none before one is written", () =>
      Effect.gen(function*() {
        const backing = yield* options.open
        assert.isUndefined(yield* backing.read(unusedKey()))
      }))

    test("what one process writes, both read", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        const written = row()
        assert.isTrue(yield* write(one, key, written))
        assert.deepStrictEqual(yield* one.read(key), written)
        assert.deepStrictEqual(yield* other.read(key), written)
      }))

    test("a handle that is opened later finds what was written before", () =>
      Effect.gen(function*() {
        const key = unusedKey()
        const written = row()
        assert.isTrue(yield* Effect.scoped(Effect.flatMap(options.open, (backing) => write(backing, key, written))))
        assert.deepStrictEqual(yield* Effect.flatMap(options.open, (backing) => backing.read(key)), written)
      }))

    test("a write replaces the version that it names", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        const [first, second, third] = [row(), row(), row()]
        assert.isTrue(yield* write(one, key, first))
        assert.isTrue(yield* write(other, key, second, first.version))
        assert.isTrue(yield* write(one, key, third, second.version))
        assert.deepStrictEqual(yield* other.read(key), third)
      }))

    test("a write that names another version, an older one or none changes nothing", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        const [first, second] = [row(), row()]
        assert.isTrue(yield* write(one, key, first))
        assert.isFalse(yield* write(other, key, row()), "none")
        assert.isFalse(yield* write(other, key, row(), version()), "one that never was")
        assert.isFalse(yield* write(other, key, row(), ""), "an empty one")
        assert.deepStrictEqual(yield* one.read(key), first)
        assert.isTrue(yield* write(one, key, second, first.version))
        assert.isFalse(yield* write(other, key, row(), first.version), "an older one")
        assert.isFalse(yield* write(one, key, row(), first.version), "an older one of its own")
        assert.isFalse(yield* write(other, key, row(), second.version.toLowerCase()), "one that differs in case")
        assert.isFalse(yield* write(other, key, row(), `${second.version} `), "one that differs in a space")
        assert.deepStrictEqual(yield* other.read(key), second)
      }))

    test("where there is nothing, a write that names a version writes nothing", () =>
      Effect.gen(function*() {
        const backing = yield* options.open
        const key = unusedKey()
        assert.isFalse(yield* write(backing, key, row(), version()))
        assert.isUndefined(yield* backing.read(key))
        assert.isTrue(yield* write(backing, key, row()))
      }))

    test("what was removed is gone for both, and its version names nothing any more", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        const [first, second] = [row(), row()]
        yield* write(one, key, first)
        yield* other.remove(key)
        assert.isUndefined(yield* one.read(key))
        assert.isUndefined(yield* other.read(key))
        assert.isFalse(yield* write(one, key, row(), first.version))
        assert.isTrue(yield* write(other, key, second))
        assert.isFalse(yield* write(one, key, row(), first.version))
        assert.deepStrictEqual(yield* one.read(key), second)
        yield* one.remove(key)
        yield* one.remove(key)
        assert.isUndefined(yield* other.read(key))
      }))

    test("one that is not there may be removed", () =>
      Effect.gen(function*() {
        const backing = yield* options.open
        yield* backing.remove(unusedKey())
      }))

    for (const where of ["where there is nothing", "over a row"]) {
      test(`of 50 writers of two processes at once ${where}, one wins`, () =>
        Effect.gen(function*() {
          const [one, other] = yield* both
          const key = unusedKey()
          const before = row()
          const replaces = where === "over a row" ? before.version : undefined
          if (replaces !== undefined) yield* write(one, key, before)
          const rows = Array.from({ length: 50 }, () => row())
          const isWritten = yield* all(rows.map((row, i) => write(i % 2 === 0 ? one : other, key, row, replaces)))
          const winners = rows.filter((_, i) => isWritten[i])
          assert.strictEqual(winners.length, 1)
          assert.deepStrictEqual(yield* one.read(key), winners[0])
          assert.deepStrictEqual(yield* other.read(key), winners[0])
        }))
    }

    test("no update of two processes is lost, and no reader sees half of one", () =>
      Effect.gen(function*() {
        const handles = yield* both
        const key = unusedKey()
        const progress = { isDone: false }
        const count = (found: TokenStore.Row | undefined) => found === undefined ? 0 : Number(found.text.split("/")[0])
        const increment = (backing: TokenStore.Backing): Effect.Effect<void, TokenStore.TokenStoreError> =>
          Effect.gen(function*() {
            for (;;) {
              const found = yield* backing.read(key)
              const next = version()
              const text = `${count(found) + 1}/${next}/${"x".repeat(4000)}/${next}`
              if (yield* write(backing, key, { text, version: next }, found?.version)) return
              yield* Effect.yieldNow()
            }
          })
        const watch = (backing: TokenStore.Backing) =>
          Effect.gen(function*() {
            let last = 0
            while (!progress.isDone) {
              const found = yield* backing.read(key)
              const now = count(found)
              assert.isAtLeast(now, last)
              last = now
              if (found !== undefined) {
                const [, first, , second] = found.text.split("/")
                assert.deepStrictEqual([first, second], [found.version, found.version])
              }
              yield* Effect.yieldNow()
            }
          })
        const writers = Effect.flatMap(
          all(handles.flatMap((backing) => [1, 2, 3].map(() => Effect.repeatN(increment(backing), 9)))),
          () => Effect.sync(() => void (progress.isDone = true))
        )
        yield* all([writers, ...handles.map(watch)])
        assert.strictEqual(count(yield* handles[0].read(key)), 60)
      }))
  })

  describe(`${name}: keys and texts`, () => {
    test("keys that differ in the least are different keys", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const id = random(12)
        const endings = [
          ["", "a", "A", "aa", "AA", "aA", " ", "  ", "a ", "a.", ".", "..", "/", "//", "/..", "/../x"],
          ["\\", "'", "\"", "`", "%", "_", "*", "?", "[a]", "a*", "%61", "%0061", "a%", "\\%", "{}", "$", "$1", "#"],
          [":lease", ".lease", "/lease", "-lease", ".lock", ".tmp", ".1", ".0", "-1", "~", "|", "<", ">", ";--", "&"],
          ["constructor", "__proto__", "null", "undefined", "(", ")", "+", ",", "=", "@", "^", "!", "e\\u0301", "\\0"]
        ].flat()
        const keys = [...endings.map((end) => `${id}${end}`), ...endings.slice(1).map((start) => `${start}${id}`)]
        const rows = keys.map(() => row())
        yield* Effect.forEach(keys, (key, i) =>
          Effect.map(write(one, key, rows[i]!), (isWritten) => assert.isTrue(isWritten, key)))
        // A lease is of its own key, and is no row.
        for (const key of keys) {
          assert.isTrue(yield* one.acquire(key, `owner-of-${key}`, LONG), key)
        }
        for (const key of keys) {
          assert.isFalse(yield* other.acquire(key, "another", LONG), key)
        }
        for (const [i, key] of keys.entries()) {
          assert.deepStrictEqual(yield* other.read(key), rows[i], key)
        }
        for (const key of keys) {
          yield* other.release(key, `owner-of-${key}`)
        }
        for (const [i, key] of keys.entries()) {
          assert.deepStrictEqual(yield* one.read(key), rows[i], key)
          yield* one.remove(key)
          assert.isUndefined(yield* other.read(key), key)
        }
      }))

    test("a key may have 512 characters, and all of them count", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const id = random(12)
        const filler = "%0041/".repeat(90)
        const keys = ["a", "b", "A"].flatMap((letter) => [
          `${id}${filler}`.slice(0, 511) + letter,
          letter + `${id}${filler}`.slice(0, 511),
          `${id}${filler}`.slice(0, 510) + letter
        ])
        const rows = keys.map(() => row())
        yield* Effect.forEach(keys, (key, i) => write(one, key, rows[i]!))
        yield* Effect.forEach(keys, (key) => one.acquire(key, "owner", LONG))
        for (const [i, key] of keys.entries()) {
          assert.deepStrictEqual(yield* other.read(key), rows[i])
          assert.isFalse(yield* other.acquire(key, "another", LONG))
          yield* other.release(key, "owner")
          yield* other.remove(key)
        }
      }))

    for (const length of [1, 2, 255, 256, 4095, 4096, 4097, 65_535, 65_536]) {
      test(`a text of ${length} bytes comes back as it went`, () =>
        Effect.gen(function*() {
          const [one, other] = yield* both
          const key = unusedKey()
          const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("")
          const text = (`"\\${printable}\\`.repeat(Math.ceil(length / 95))).slice(0, length)
          const written = row(text)
          assert.isTrue(yield* write(one, key, written))
          assert.deepStrictEqual(yield* other.read(key), written)
          const shorter = row("s")
          assert.isTrue(yield* write(other, key, shorter, written.version))
          assert.deepStrictEqual(yield* one.read(key), shorter)
        }))
    }

    const printable = FastCheck.string({ minLength: 1, maxLength: 200 }).filter((text) => /^[\x20-\x7e]*$/.test(text))
    test.prop(
      "any printable text of any printable key comes back as it went",
      { key: printable, text: printable },
      ({ key, text }) =>
        Effect.gen(function*() {
          const [one, other] = yield* both
          const written = row(text)
          const unused = `${key}${random(12)}`
          assert.isTrue(yield* write(one, unused, written))
          assert.deepStrictEqual(yield* other.read(unused), written)
          yield* one.remove(unused)
        }),
      { fastCheck: { numRuns: isLive ? 25 : 100 } }
    )
  })

  describe(`${name}: how long a row lasts`, () => {
    test("it is gone after keepFor, and not before", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        const [written, next] = [row(), row()]
        const since = yield* Clock.currentTimeMillis
        yield* write(one, key, written, undefined, short)
        yield* meanwhile(since, Effect.map(other.read(key), (found) => found?.version === written.version))
        yield* pass(Duration.times(short, 0.5))
        yield* meanwhile(since, Effect.map(other.read(key), (found) => found?.version === written.version))
        yield* passed
        assert.isUndefined(yield* one.read(key))
        assert.isUndefined(yield* other.read(key))
        assert.isFalse(yield* write(other, key, row(), written.version), "an expired version names nothing")
        assert.isTrue(yield* write(other, key, next), "an expired row is none")
        assert.deepStrictEqual(yield* one.read(key), next)
      }))

    test("a write over it sets the time anew, for longer or shorter", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const [longer, shorter] = [unusedKey(), unusedKey()]
        const rows = [row(), row(), row(), row()] as const
        yield* write(one, shorter, rows[2])
        assert.isTrue(yield* write(other, shorter, rows[3], rows[2].version, short))
        // A row may be gone before it is replaced where the machine is busy; then it is written anew.
        yield* write(one, longer, rows[0], undefined, short)
        const isReplaced = yield* write(other, longer, rows[1], rows[0].version)
        if (!isReplaced) assert.isTrue(yield* write(other, longer, rows[1]))
        yield* passed
        assert.deepStrictEqual(yield* one.read(longer), rows[1])
        assert.isUndefined(yield* one.read(shorter))
      }))

    test("a write that changes nothing does not change its time either", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        const written = row()
        yield* write(one, key, written, undefined, LONG)
        assert.isFalse(yield* write(other, key, row(), version(), Duration.millis(1)))
        assert.isFalse(yield* write(other, key, row(), undefined, Duration.millis(1)))
        yield* pass("50 millis")
        assert.deepStrictEqual(yield* one.read(key), written)
      }))

    for (const millis of [0, 0.001, 0.4, 1, 1.5, 2.999999]) {
      test(`${millis} milliseconds are a time too`, () =>
        Effect.gen(function*() {
          const backing = yield* options.open
          const key = unusedKey()
          assert.isTrue(yield* write(backing, key, row(), undefined, Duration.millis(millis)))
          yield* pass("50 millis")
          assert.isUndefined(yield* backing.read(key))
          assert.isTrue(yield* write(backing, key, row()))
        }))
    }

    test("fractions of a millisecond do no harm", () =>
      Effect.gen(function*() {
        const backing = yield* options.open
        const key = unusedKey()
        const written = row()
        const since = yield* Clock.currentTimeMillis
        const keepFor = Duration.sum(short, Duration.nanos(333_333n))
        assert.isTrue(yield* write(backing, key, written, undefined, keepFor))
        yield* meanwhile(since, Effect.map(backing.read(key), (found) => found?.version === written.version))
        yield* passed
        assert.isUndefined(yield* backing.read(key))
      }))

    for (const keepFor of [Duration.infinity, Duration.days(36_500), Duration.days(25), Duration.days(1e12)]) {
      test(`${Duration.format(keepFor)} are not too long`, () =>
        Effect.gen(function*() {
          const [one, other] = yield* both
          const key = unusedKey()
          const [first, second] = [row(), row()]
          assert.isTrue(yield* write(one, key, first, undefined, keepFor))
          yield* pass(isLive ? "50 millis" : "24 days")
          assert.deepStrictEqual(yield* other.read(key), first)
          assert.isTrue(yield* write(one, key, second, first.version, keepFor))
          assert.deepStrictEqual(yield* other.read(key), second)
        }))
    }
  })

  describe(`${name}: leases`, () => {
    test("one owner has it, may have it again, and gives it back", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        assert.isTrue(yield* one.acquire(key, "a", LONG))
        assert.isFalse(yield* other.acquire(key, "b", LONG))
        assert.isFalse(yield* one.acquire(key, "b", LONG))
        assert.isFalse(yield* one.acquire(key, "A", LONG))
        assert.isTrue(yield* one.acquire(key, "a", LONG))
        assert.isTrue(yield* other.acquire(key, "a", LONG))
        yield* one.release(key, "a")
        assert.isTrue(yield* other.acquire(key, "b", LONG))
        assert.isFalse(yield* one.acquire(key, "a", LONG))
      }))

    test("a release by another owner, or of nothing, does nothing", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        yield* one.release(key, "a")
        assert.isTrue(yield* one.acquire(key, "a", LONG))
        yield* other.release(key, "b")
        yield* other.release(key, "A")
        yield* other.release(key, "")
        assert.isFalse(yield* other.acquire(key, "b", LONG))
        yield* one.release(key, "a")
        yield* one.release(key, "a")
        assert.isTrue(yield* other.acquire(key, "b", LONG))
      }))

    test("it ends by itself, and its late owner does no harm", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        const since = yield* Clock.currentTimeMillis
        assert.isTrue(yield* one.acquire(key, "a", short))
        yield* meanwhile(since, Effect.map(other.acquire(key, "b", LONG), (isTheirs) => !isTheirs))
        yield* passed
        assert.isTrue(yield* other.acquire(key, "b", LONG))
        assert.isFalse(yield* one.acquire(key, "a", short))
        yield* one.release(key, "a")
        assert.isFalse(yield* one.acquire(key, "c", short))
      }))

    test("renewed, it lasts as long again", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        assert.isTrue(yield* one.acquire(key, "a", short))
        // A busy machine may let it end; then it is taken anew, for nobody else wants it.
        for (let i = 0; i < 3; i++) {
          yield* pass(Duration.times(short, 0.5))
          const since = yield* Clock.currentTimeMillis
          assert.isTrue(yield* one.acquire(key, "a", short))
          yield* meanwhile(since, Effect.map(other.acquire(key, "b", short), (isTheirs) => !isTheirs))
        }
        assert.isTrue(yield* one.acquire(key, "a", LONG))
        yield* passed
        assert.isFalse(yield* other.acquire(key, "b", short))
      }))

    for (const millis of [0.4, 1.5, 20.000_001]) {
      test(`${millis} milliseconds are a time too`, () =>
        Effect.gen(function*() {
          const [one, other] = yield* both
          const key = unusedKey()
          assert.isTrue(yield* one.acquire(key, "a", Duration.millis(millis)))
          yield* pass("80 millis")
          assert.isTrue(yield* other.acquire(key, "b", LONG))
        }))
    }

    test("of 50 owners of two processes at once, one gets it", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        for (let round = 0; round < 3; round++) {
          const owners = Array.from({ length: 50 }, () => version())
          const isTheirs = yield* all(owners.map((owner, i) => (i % 2 === 0 ? one : other).acquire(key, owner, LONG)))
          const holders = owners.filter((_, i) => isTheirs[i])
          assert.strictEqual(holders.length, 1)
          yield* all(owners.filter((owner) => owner !== holders[0]).map((owner) => other.release(key, owner)))
          assert.isFalse(yield* other.acquire(key, version(), LONG))
          yield* other.release(key, holders[0]!)
        }
      }))

    test("of 50 owners at once one gets the lease of another that has ended", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        assert.isTrue(yield* one.acquire(key, version(), Duration.millis(1)))
        yield* pass("80 millis")
        const owners = Array.from({ length: 50 }, () => version())
        const isTheirs = yield* all(owners.map((owner, i) => (i % 2 === 0 ? one : other).acquire(key, owner, LONG)))
        assert.strictEqual(isTheirs.filter(Boolean).length, 1)
      }))

    test("neither is it a row, nor does a row end it", () =>
      Effect.gen(function*() {
        const [one, other] = yield* both
        const key = unusedKey()
        const written = row()
        assert.isTrue(yield* one.acquire(key, "a", LONG))
        assert.isUndefined(yield* other.read(key))
        assert.isTrue(yield* write(other, key, written))
        assert.isFalse(yield* other.acquire(key, "b", LONG))
        yield* other.remove(key)
        assert.isFalse(yield* other.acquire(key, "b", LONG))
        assert.isTrue(yield* write(other, key, written))
        yield* one.release(key, "a")
        assert.deepStrictEqual(yield* one.read(key), written)
      }))
  })

  describe(`${name}: any order of operations`, () => {
    const which = FastCheck.integer({ min: 0, max: 1 })
    const times = FastCheck.integer({ min: 1, max: 50 })
    const operation = FastCheck.oneof(
      FastCheck.record({ do: FastCheck.constant("read" as const), handle: which, key: which }),
      FastCheck.record({
        do: FastCheck.constant("write" as const),
        handle: which,
        key: which,
        replaces: FastCheck.constantFrom("current", "current", "none", "older", "foreign"),
        seconds: times
      }),
      FastCheck.record({ do: FastCheck.constant("remove" as const), handle: which, key: which }),
      FastCheck.record({
        do: FastCheck.constant("acquire" as const),
        handle: which,
        key: which,
        owner: which,
        seconds: times
      }),
      FastCheck.record({ do: FastCheck.constant("release" as const), handle: which, key: which, owner: which }),
      // Half a second: no operation falls on the very end of a row.
      FastCheck.record({ do: FastCheck.constant("wait" as const), seconds: FastCheck.integer({ min: 0, max: 30 }) })
    )

    test.prop(
      "does what a Map would",
      { operations: FastCheck.array(operation, { minLength: 1, maxLength: 40 }) },
      ({ operations }) =>
        Effect.gen(function*() {
          const handles = yield* both
          const keys = [unusedKey(), unusedKey()] as const
          const rows = new Map<string, { readonly row: TokenStore.Row; readonly until: number }>()
          const leases = new Map<string, { readonly owner: string; readonly until: number }>()
          const older = new Map<string, string>()
          let now = 0
          const alive = (key: string) => {
            const kept = rows.get(key)
            return kept !== undefined && now < kept.until ? kept.row : undefined
          }
          for (const step of operations) {
            if (step.do === "wait") {
              if (isLive) continue
              now += step.seconds + 0.5
              yield* TestClock.adjust(Duration.seconds(step.seconds + 0.5))
              continue
            }
            const backing = handles[step.handle]!
            const key = keys[step.key]!
            // In real time nothing ends during the test.
            const lasts = Duration.seconds("seconds" in step && !isLive ? step.seconds : 7200)
            switch (step.do) {
              case "read": {
                assert.deepStrictEqual(yield* backing.read(key), alive(key))
                break
              }
              case "write": {
                const current = alive(key)
                const replaces = step.replaces === "current"
                  ? current?.version
                  : step.replaces === "older"
                  ? older.get(key)
                  : step.replaces === "foreign"
                  ? version()
                  : undefined
                const next = row()
                const isWritten = yield* write(backing, key, next, replaces, lasts)
                assert.strictEqual(isWritten, current?.version === replaces)
                if (isWritten) {
                  if (current !== undefined) older.set(key, current.version)
                  rows.set(key, { row: next, until: now + Duration.toSeconds(lasts) })
                }
                break
              }
              case "remove": {
                const current = alive(key)
                if (current !== undefined) older.set(key, current.version)
                yield* backing.remove(key)
                rows.delete(key)
                break
              }
              case "acquire": {
                const owner = `owner-${step.owner}`
                const lease = leases.get(key)
                const isFree = lease === undefined || lease.owner === owner || now >= lease.until
                assert.strictEqual(yield* backing.acquire(key, owner, lasts), isFree)
                if (isFree) leases.set(key, { owner, until: now + Duration.toSeconds(lasts) })
                break
              }
              case "release": {
                const owner = `owner-${step.owner}`
                yield* backing.release(key, owner)
                if (leases.get(key)?.owner === owner) leases.delete(key)
              }
            }
          }
          for (const handle of handles) {
            for (const key of keys) assert.deepStrictEqual(yield* handle.read(key), alive(key))
          }
        }),
      { fastCheck: { numRuns: isLive ? 25 : 100 }, timeout: 60_000 }
    )
  })

  describe(`${name}: when something is wrong`, () => {
    const { broken, corrupt } = options

    if (corrupt !== undefined) {
      for (const how of ["garbage", "truncated", "empty"] as const) {
        test(`a row that is ${how} counts as none, and can be overwritten`, () =>
          Effect.gen(function*() {
            const [one, other] = yield* both
            const store = yield* TokenStore.make(one, { timeout: "20 seconds" })
            const name = unusedName()
            const key = TokenStore.nameOf(name)
            const secret = `sentinel-${random(12)}`
            const written = yield* store.write(name, token(secret), { replaces: undefined, keepFor: LONG })
            assert.isString(written)
            yield* corrupt(key, how)
            const { lines, value: found } = yield* logged(store.read(name))
            assert.isUndefined(found.token)
            assert.notInclude(lines.join("\n"), secret)
            const fresh = yield* store.write(name, token("fresh"), { replaces: found.version, keepFor: LONG })
            assert.isString(fresh)
            const again = yield* store.read(name)
            assert.strictEqual(again.version, fresh)
            assert.strictEqual(Redacted.value(again.token!.value), "fresh")
            // And the store itself: it gives a row that can be named, or none.
            yield* corrupt(key, how)
            const next = row()
            assert.isTrue(yield* write(other, key, next, (yield* other.read(key))?.version))
            assert.deepStrictEqual(yield* one.read(key), next)
            yield* corrupt(key, how)
            yield* other.remove(key)
            assert.isUndefined(yield* one.read(key))
          }))
      }
    }

    const operations = (backing: TokenStore.Backing, key: string, text: string, known: string) => [
      write(backing, key, row(text)),
      write(backing, key, row(text), known),
      backing.read(key),
      backing.acquire(key, "owner", LONG),
      backing.release(key, "owner"),
      backing.remove(key)
    ]

    it.scopedLive("a handle that was closed shows no text, whatever it does", () =>
      Effect.gen(function*() {
        const key = unusedKey()
        const secret = `sentinel-${random(12)}`
        const known = row(secret)
        const closed = yield* Effect.scoped(Effect.tap(options.open, (backing) => write(backing, key, known)))
        for (const operation of operations(closed, key, secret, known.version)) {
          const exit = yield* Effect.exit(Effect.timeoutOption(Effect.disconnect(operation), "500 millis"))
          if (Exit.isFailure(exit)) assert.notInclude(shown(exit.cause), secret)
        }
      }))

    if (broken !== undefined) {
      it.scopedLive("what cannot work fails as it should, and shows no text", () =>
        Effect.gen(function*() {
          const secret = `sentinel-${random(12)}`
          const { lines } = yield* logged(Effect.gen(function*() {
            const backing = yield* broken
            for (const operation of operations(backing, unusedKey(), secret, version())) {
              const result = yield* Effect.either(operation)
              assert.isTrue(Either.isLeft(result))
              if (Either.isLeft(result)) {
                assert.strictEqual(result.left._tag, "TokenStoreError")
                assert.notInclude(shown(result.left), secret)
                assert.notInclude(shown(Cause.fail(result.left)), secret)
              }
            }
          }))
          assert.notInclude(lines.join("\n"), secret)
        }))
    }
  })

  describe(`${name}: encrypted`, () => {
    const service = (encryption?: TokenCipher.Options) =>
      Effect.flatMap(options.open, (backing) => TokenStore.make(backing, { encryption, timeout: "20 seconds" }))
    const valueOf = (found: TokenStore.Found) =>
      found.token === undefined ? undefined : Redacted.value(found.token.value)
    const keep = { replaces: undefined, keepFor: LONG }

    test("a token comes back as it was, with all that belongs to it", () =>
      Effect.gen(function*() {
        const encryption = { keys: [encryptionKey("2026-11")] } as const
        const [one, other] = yield* Effect.all([service(encryption), service(encryption)])
        const key = unusedName()
        const stored: TokenStore.StoredToken = {
          ...token("value"),
          issuedAt: 1_780_000_000_123,
          expiresAt: 1_780_007_200_123.5,
          corpId: "ding组织\u{1f600}\ufeff",
          spendingSince: 7
        }
        const version = yield* one.write(key, stored, keep)
        const found = yield* other.read(key)
        assert.deepStrictEqual(found, { token: stored, version })
        const plain = yield* service()
        const unencrypted = unusedName()
        yield* plain.write(unencrypted, stored, keep)
        assert.deepStrictEqual((yield* plain.read(unencrypted)).token, stored)
      }))

    const { raw } = options
    if (raw !== undefined) {
      test("nothing that is stored can be read", () =>
        Effect.gen(function*() {
          const [encrypted, plain] = yield* Effect.all([service({ keys: [encryptionKey("k1")] }), service()])
          const [secret, clear] = [`sentinel-${random(12)}`, `sentinel-${random(12)}`]
          assert.isString(yield* encrypted.write(unusedName(), token(secret), keep))
          assert.isString(yield* plain.write(unusedName(), token(clear), keep))
          const lease = yield* encrypted.lease(unusedName())
          const dump = yield* raw
          for (const hidden of [secret, `refresh-${secret}`]) {
            assert.notInclude(dump, hidden)
            assert.notInclude(dump, Encoding.encodeBase64(hidden).slice(0, 12))
            assert.notInclude(dump, Encoding.encodeHex(hidden))
          }
          assert.include(dump, "aes256gcm.k1.")
          assert.include(dump, clear, "the dump shows what is stored")
          yield* lease!.release
        }))
    }

    test("keys can be replaced while a fleet runs", () =>
      Effect.gen(function*() {
        const [old, fresh] = [encryptionKey("2026-05"), encryptionKey("2026-11")]
        const [before, during, after] = yield* Effect.all([
          service({ keys: [old] }),
          service({ keys: [fresh, old] }),
          service({ keys: [fresh] })
        ])
        const [rewritten, left] = [unusedName(), unusedName()]
        const version = yield* before.write(rewritten, token("one"), keep)
        const kept = yield* before.write(left, token("left"), keep)
        const found = yield* during.read(rewritten)
        assert.strictEqual(valueOf(found), "one")
        assert.strictEqual(found.version, version)
        assert.isString(yield* during.write(rewritten, token("two"), { replaces: version, keepFor: LONG }))
        assert.strictEqual(valueOf(yield* after.read(rewritten)), "two")
        assert.strictEqual(valueOf(yield* during.read(rewritten)), "two")

        // The old key is not listed any more: a miss that says so, and can be overwritten.
        const counter = counted(UNREADABLE)
        const { lines, value: missed } = yield* logged(after.read(left))
        assert.isUndefined(missed.token)
        assert.strictEqual(missed.version, kept)
        assert.strictEqual(lines.length, 1)
        assert.include(lines[0], "WARN")
        assert.include(lines[0], "2026-05")
        assert.isAbove(counted(UNREADABLE), counter)
        assert.isString(yield* after.write(left, token("three"), { replaces: missed.version, keepFor: LONG }))
        assert.strictEqual(valueOf(yield* after.read(left)), "three")
      }))

    const misses = (
      title: string,
      first: TokenCipher.Options | undefined,
      second: TokenCipher.Options | undefined,
      why: string
    ) =>
      test(title, () =>
        Effect.gen(function*() {
          const [writer, reader] = yield* Effect.all([service(first), service(second)])
          const key = unusedName()
          const secret = `sentinel-${random(12)}`
          const version = yield* writer.write(key, token(secret), keep)
          const counter = counted(UNREADABLE)
          const { lines, value: found } = yield* logged(reader.read(key))
          assert.deepStrictEqual({ ...found, isSealed: undefined }, { token: undefined, version, isSealed: undefined })
          assert.strictEqual(lines.length, 1)
          assert.include(lines[0], "WARN")
          assert.include(lines[0], why)
          assert.notInclude(lines[0], secret)
          assert.isAbove(counted(UNREADABLE), counter)
          assert.isString(yield* reader.write(key, token("mine"), { replaces: version, keepFor: LONG }))
          assert.strictEqual(valueOf(yield* reader.read(key)), "mine")
        }))

    misses(
      "with a wrong key of the same name, a record is none",
      { keys: [encryptionKey("k1")] },
      { keys: [encryptionKey("k1")] },
      "it does not open with the key k1"
    )
    misses("without a key, an encrypted record is none", { keys: [encryptionKey("k1")] }, undefined, "no key is given")
    misses(
      "with a key, a record that is not encrypted is none",
      undefined,
      { keys: [encryptionKey("k1")] },
      "encrypted"
    )

    test("unless it is allowed, while a store gets its encryption", () =>
      Effect.gen(function*() {
        const secret = encryptionKey("k1")
        const [plain, both, encrypted] = yield* Effect.all([
          service(),
          service({ keys: [secret], allowUnencrypted: true }),
          service({ keys: [secret] })
        ])
        const key = unusedName()
        const version = yield* plain.write(key, token("clear"), keep)
        assert.strictEqual(valueOf(yield* both.read(key)), "clear")
        assert.isString(yield* both.write(key, token("sealed"), { replaces: version, keepFor: LONG }))
        assert.strictEqual(valueOf(yield* encrypted.read(key)), "sealed")
      }))

    test("a record that was moved to another key does not open", () =>
      Effect.gen(function*() {
        const backing = yield* options.open
        const store = yield* service({ keys: [encryptionKey("k1")] })
        const [from, to] = [unusedName(), unusedName()]
        yield* store.write(from, token("theirs"), keep)
        const stolen = yield* backing.read(TokenStore.nameOf(from))
        assert.isTrue(yield* write(backing, TokenStore.nameOf(to), { text: stolen!.text, version: version() }))
        const { lines, value: found } = yield* logged(store.read(to))
        assert.isUndefined(found.token)
        assert.include(lines.join(), "does not open")
        assert.strictEqual(valueOf(yield* store.read(from)), "theirs")
      }))

    test("a key that is none is an error of its own at once, which names it and does not show it", () =>
      Effect.gen(function*() {
        const good = encryptionKey("good")
        const bad: ReadonlyArray<readonly [keys: ReadonlyArray<TokenCipher.Key>, says: RegExp]> = [
          [[], /no encryption key/],
          [[{ id: "2026-11", secret: Redacted.make("sentinel not Base64!") }], /the encryption key is not Base64/],
          [[{ id: "2026-11", secret: Redacted.make("c2VudGluZWw=") }], /the encryption key has 8 bytes/],
          [[good, { id: "2026-11", secret: Redacted.make("") }], /key 2 of 2 has 0 bytes/],
          [[good, good], /key 2 of 2 has the id of another/],
          [[{ ...good, id: "" }], /the id of the encryption key/],
          [[{ ...good, id: "sentinel.dot" }], /the id of the encryption key/],
          // The two were mixed up.
          [[good, { id: "sentinel-of-a-secret", secret: Redacted.make("2026-11") }], /key 2 of 2/]
        ]
        for (const [keys, says] of bad) {
          const exit = yield* Effect.exit(service({ keys: keys as [TokenCipher.Key] }))
          const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
          assert.instanceOf(error, TokenStore.TokenStoreError)
          assert.strictEqual((error as TokenStore.TokenStoreError).operation, "open")
          assert.match((error as TokenStore.TokenStoreError).message, says)
          const all = shown(error) + shown((exit as Exit.Failure<never, unknown>).cause)
          for (const secret of ["sentinel", "c2VudGluZWw", Redacted.value(good.secret)]) assert.notInclude(all, secret)
        }
      }))
  })
}
