import { TokenCipher } from "@effect-dingtalk/auth"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Either, Encoding, Exit, FastCheck, Redacted } from "effect"
import { encryptionKey, shown } from "./contract/tokenStore.js"

const NAME = "api.dingtalk.com/ding1/app/"
const key = encryptionKey("k1")
const cipher = Effect.runSync(Effect.cached(TokenCipher.make({ keys: [key] })))

/** Well formed: UTF-8 has nothing for half a surrogate pair. */
const text = FastCheck.oneof(
  FastCheck.fullUnicodeString(),
  FastCheck.fullUnicodeString().map((text) => `\ufeff${text}`),
  FastCheck.string({ maxLength: 5000 })
)

describe("sealing", () => {
  it.effect.prop(
    "what was sealed opens as it was",
    { text, name: FastCheck.fullUnicodeString() },
    ({ name, text }) =>
      Effect.gen(function*() {
        const { open, seal } = yield* cipher
        const sealed = yield* seal(text, name)
        assert.strictEqual(yield* open(sealed, name), text)
        assert.match(sealed, /^aes256gcm\.k1\.[\w-]{16}\.[\w-]{22,}$/)
        assert.isTrue(TokenCipher.isSealed(sealed))
      })
  )

  it.effect.prop(
    "no character of it can be changed, left out or added",
    {
      text,
      at: FastCheck.nat(),
      by: FastCheck.oneof(
        FastCheck.fullUnicode(),
        FastCheck.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n")
      ),
      how: FastCheck.constantFrom("change", "change", "change", "leave out", "add", "the last")
    },
    ({ at, by, how, text }) =>
      Effect.gen(function*() {
        const { open, seal } = yield* cipher
        const sealed = yield* seal(text, NAME)
        const i = how === "the last" ? sealed.length - 1 : at % sealed.length
        const tampered = sealed.slice(0, i) + (how === "leave out" ? "" : by) + sealed.slice(how === "add" ? i : i + 1)
        if (tampered === sealed) return
        const opened = yield* Effect.either(open(tampered, NAME))
        assert.isTrue(Either.isLeft(opened), tampered)
        if (Either.isLeft(opened)) assert.instanceOf(opened.left, TokenCipher.TokenCipherError)
      }),
    { fastCheck: { numRuns: 1000 } }
  )

  it.effect("the same text is never sealed the same", () =>
    Effect.gen(function*() {
      const { seal } = yield* cipher
      const all = yield* Effect.all(Array.from({ length: 500 }, () => seal("text", NAME)), { concurrency: 50 })
      assert.strictEqual(new Set(all).size, 500)
      assert.strictEqual(new Set(all.map((sealed) => sealed.split(".")[2])).size, 500)
    }))

  it.effect("under another name it does not open", () =>
    Effect.gen(function*() {
      const { open, seal } = yield* cipher
      const sealed = yield* seal("text", NAME)
      for (const name of ["", `${NAME} `, NAME.toUpperCase(), NAME.slice(1)]) {
        assert.strictEqual((yield* Effect.flip(open(sealed, name))).message, "it does not open with the key k1")
      }
    }))

  it.effect("the first key seals, every one opens what it sealed, and no other does", () =>
    Effect.gen(function*() {
      const [a, b] = [encryptionKey("a"), encryptionKey("b")]
      const [onlyA, both, onlyB] = yield* Effect.all([
        TokenCipher.make({ keys: [a] }),
        TokenCipher.make({ keys: [b, a] }),
        TokenCipher.make({ keys: [b] })
      ])
      const [byA, byB] = [yield* onlyA.seal("text", NAME), yield* both.seal("text", NAME)]
      assert.match(byB, /^aes256gcm\.b\./)
      assert.strictEqual(yield* both.open(byA, NAME), "text")
      assert.strictEqual(yield* onlyB.open(byB, NAME), "text")
      assert.strictEqual(
        (yield* Effect.flip(onlyB.open(byA, NAME))).message,
        "it is encrypted with the key a, which is not given"
      )
      // Another key's id on it does not help.
      const renamed = byA.replace(".a.", ".b.")
      assert.strictEqual((yield* Effect.flip(both.open(renamed, NAME))).message, "it does not open with the key b")
    }))

  it.effect("what is not sealed opens only where that is allowed", () =>
    Effect.gen(function*() {
      const lenient = yield* TokenCipher.make({ keys: [key], allowUnencrypted: true })
      const strict = yield* cipher
      assert.strictEqual(yield* lenient.open("{}", NAME), "{}")
      assert.strictEqual((yield* Effect.flip(strict.open("{}", NAME))).message, "it is not encrypted")
      const sealed = yield* strict.seal("text", NAME)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(lenient.open(`${sealed.slice(0, -2)}AA`, NAME))))
    }))

  it.effect("no error shows what was to be opened", () =>
    Effect.gen(function*() {
      const { open } = yield* cipher
      for (
        const text of ["sentinel", "aes256gcm.sentinel", "aes256gcm.sentinel!.a.b", "aes256gcm.k1.sentinel.sentinel"]
      ) {
        assert.notInclude(shown(yield* Effect.exit(open(text, NAME))), "sentinel")
      }
    }))
})

describe("from the configuration", () => {
  const [a, b] = [encryptionKey("2026-11"), encryptionKey("2026-05")]
  const [secretA, secretB] = [Redacted.value(a.secret), Redacted.value(b.secret)]
  const load = <A = TokenCipher.Options>(
    setting: string | undefined,
    config: Config.Config<A> = TokenCipher.config() as Config.Config<any>
  ) =>
    ConfigProvider.fromMap(
      new Map(setting === undefined ? [] : [["DINGTALK_TOKEN_STORE_KEYS", setting], ["APP_KEYS", setting]])
    ).load(config)

  it.effect("one key, or several of which the first seals", () =>
    Effect.gen(function*() {
      const one = yield* load(`2026-11:${secretA}`)
      assert.deepStrictEqual(one.keys.map(({ id }) => id), ["2026-11"])
      for (
        const setting of [
          `2026-11:${secretA},2026-05:${secretB}`,
          ` 2026-11:${secretA} ,\n 2026-05: ${secretB}\n`
        ]
      ) {
        const { keys } = yield* load(setting)
        assert.deepStrictEqual(keys.map(({ id }) => id), ["2026-11", "2026-05"])
        const sealed = yield* (yield* TokenCipher.make({ keys })).seal("text", NAME)
        assert.strictEqual(yield* (yield* TokenCipher.make({ keys: [a] })).open(sealed, NAME), "text")
      }
      assert.strictEqual((yield* load(`x:${secretA}`, TokenCipher.config("APP_KEYS"))).keys[0].id, "x")
    }))

  it.effect("it shows no secret", () =>
    Effect.map(load(`2026-11:${secretA}`), (options) => assert.notInclude(shown(options), secretA.slice(0, 10))))

  const short = Encoding.encodeBase64(crypto.getRandomValues(new Uint8Array(24)))
  const hex = Encoding.encodeHex(crypto.getRandomValues(new Uint8Array(16)))
  const longHex = Encoding.encodeHex(crypto.getRandomValues(new Uint8Array(32)))
  const mistakes: Record<string, readonly [setting: string | undefined, says: RegExp]> = {
    "nothing": [undefined, /DINGTALK_TOKEN_STORE_KEYS/],
    "an empty text": ["", /<id>:<Base64>/],
    "no id": [secretA, /id/],
    "no id, and a secret that looks like one": [hex, /<id>:<Base64>/],
    "an empty id": [`:${secretA}`, /id/],
    "an id with a space": [`20 26:${secretA}`, /id/],
    "no secret": ["2026-11:", /0 bytes/],
    "the two mixed up": [`${secretA}:2026-11`, /id/],
    "the two mixed up, and a secret that looks like an id": [`${hex}:2026-11`, /Base64|bytes/],
    "a secret that is too short": [`2026-11:${short}`, /24 bytes/],
    "a secret in hexadecimal": [`2026-11:${longHex}`, /48 bytes/],
    "a secret with a character too many": [`2026-11:${secretA}!`, /Base64/],
    "a secret that was cut off": [`2026-11:${secretA.slice(0, -3)}`, /Base64/],
    "a second key without id": [`2026-11:${secretA},${secretB}`, /<id>:<Base64>/],
    "a second key that is too short": [`2026-11:${secretA},2026-05:${short}`, /2 of 2 has 24 bytes/],
    "a comma too many": [`2026-11:${secretA},`, /<id>:<Base64>/],
    "a semicolon for a comma": [`2026-11:${secretA};2026-05:${secretB}`, /Base64/],
    "two keys of one id": [`2026-11:${secretA},2026-11:${secretB}`, /id of another/]
  }
  for (const [what, [setting, says]] of Object.entries(mistakes)) {
    it.effect(`${what} is an error that says so, names the setting and shows no secret`, () =>
      Effect.gen(function*() {
        // Optional means that it may be missing, not that it may be wrong.
        const configs = [TokenCipher.config(), ...setting === undefined ? [] : [Config.option(TokenCipher.config())]]
        for (const config of configs) {
          const exit = yield* Effect.exit(load<unknown>(setting, config))
          assert.isTrue(Exit.isFailure(exit), what)
          const all = shown(exit) + (Exit.isFailure(exit) ? shown(exit.cause) : "")
          assert.match(all, says)
          assert.include(all, "DINGTALK_TOKEN_STORE_KEYS")
          for (const secret of [secretA, secretB, short, hex, longHex]) {
            assert.notInclude(all, secret.slice(0, 8))
            assert.notInclude(all, secret.slice(-12))
          }
        }
      }))
  }

  it.effect("a failure under a prefix, or of the provider, shows none either", () =>
    Effect.gen(function*() {
      const provider = ConfigProvider.fromMap(new Map([["APP.DINGTALK_TOKEN_STORE_KEYS", `x:${short}`]]))
      const exit = yield* Effect.exit(provider.load(Config.nested(TokenCipher.config(), "APP")))
      assert.isTrue(Exit.isFailure(exit))
      assert.notInclude(shown(exit), short.slice(0, 8))
      assert.match(shown(exit), /DINGTALK_TOKEN_STORE_KEYS/)
    }))
})
