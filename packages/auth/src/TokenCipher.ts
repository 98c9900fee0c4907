/**
 * Encryption of what a token store holds: AES-256-GCM through the platform's own crypto.
 *
 * Each record names the key it was sealed with, so that keys can be replaced while a fleet runs: list the new key last,
 * once every process has it put it first, and keep the old ones listed for as long as records last, 30 days for user
 * sessions and suite tickets and 2 hours for the rest. A process that lacks a key fetches tokens of its own meanwhile,
 * and leaves sessions as they are. A record is bound to its name: moved to another, it does not open.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/**
 * @since 0.1.0
 * @category models
 */
export interface Key {
  /** written in clear beside what it seals: 1 to 32 letters, digits, `_` or `-` */
  readonly id: string
  /** 32 bytes in Base64, such as `openssl rand -base64 32` prints */
  readonly secret: Redacted.Redacted
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the first seals; every one opens what it has sealed */
  readonly keys: readonly [Key, ...ReadonlyArray<Key>]
  /**
   * takes records that are not encrypted for good, while a store that had no encryption gets it; else they count as none,
   * for whoever may write to the store could plant a token of their own
   */
  readonly allowUnencrypted?: boolean | undefined
}

/**
 * A key is none, or a text does not open. It holds neither.
 *
 * @since 0.1.0
 * @category errors
 */
export class TokenCipherError extends Schema.TaggedError<TokenCipherError>("@effect-dingtalk/auth/TokenCipherError")(
  "TokenCipherError",
  {
    description: Schema.String,
    /** the id of the key that it takes, where that is none of those given */
    unknownKey: Schema.optional(Schema.String)
  }
) {
  override get message(): string {
    return this.description
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TokenCipher {
  /** `name` is bound to the text: under another name it does not open */
  readonly seal: (text: string, name: string) => Effect.Effect<string>
  readonly open: (sealed: string, name: string) => Effect.Effect<string, TokenCipherError>
}

// Global in Node, Bun, Deno and on the edge, but in no library of the ECMAScript standard.
interface CryptoKey {
  readonly type: string
}
interface GcmParameters {
  readonly name: "AES-GCM"
  readonly iv: Uint8Array
  readonly additionalData: Uint8Array
}
declare const crypto: {
  readonly getRandomValues: <A extends Uint8Array>(bytes: A) => A
  readonly subtle: {
    readonly importKey: (
      format: "raw",
      bytes: Uint8Array,
      algorithm: "AES-GCM",
      isExtractable: boolean,
      uses: ReadonlyArray<string>
    ) => Promise<CryptoKey>
    readonly encrypt: (parameters: GcmParameters, key: CryptoKey, data: Uint8Array) => Promise<ArrayBuffer>
    readonly decrypt: (parameters: GcmParameters, key: CryptoKey, data: Uint8Array) => Promise<ArrayBuffer>
  }
}
declare const TextEncoder: new() => { readonly encode: (text: string) => Uint8Array }
declare const TextDecoder: new(label: string, options: { readonly ignoreBOM: boolean }) => {
  readonly decode: (bytes: Uint8Array) => string
}

const MARK = "aes256gcm"
const ID = /^[A-Za-z0-9_-]{1,32}$/

const failed = (description: string) => new TokenCipherError({ description })

/**
 * @since 0.1.0
 * @category predicates
 */
export const isSealed = (text: string): boolean => text.startsWith(`${MARK}.`)

/** `undefined` also for another spelling of the same bytes: what was written is all that opens. */
const canonical = (text: string): Uint8Array | undefined => {
  const bytes = Either.getOrUndefined(Encoding.decodeBase64Url(text))
  return bytes !== undefined && Encoding.encodeBase64Url(bytes) === text ? bytes : undefined
}

// Never by its id: in a setting that was mixed up, that is where the secret is.
const bytesOf = (which: string, secret: Redacted.Redacted): Either.Either<Uint8Array, string> =>
  Either.match(Encoding.decodeBase64(Redacted.value(secret).trim()), {
    onLeft: () => Either.left(`${which} is not Base64`),
    onRight: (bytes) =>
      bytes.length === 32
        ? Either.right(bytes)
        : Either.left(`${which} has ${bytes.length} bytes, and must have 32: openssl rand -base64 32`)
  })

const check = (keys: ReadonlyArray<Key>): Either.Either<ReadonlyArray<readonly [string, Uint8Array]>, string> =>
  Either.gen(function*() {
    if (keys.length === 0) return yield* Either.left("no encryption key is given")
    const all: Array<readonly [string, Uint8Array]> = []
    for (const [i, { id, secret }] of keys.entries()) {
      const which = keys.length === 1 ? "the encryption key" : `encryption key ${i + 1} of ${keys.length}`
      if (!ID.test(id)) return yield* Either.left(`the id of ${which} must be 1 to 32 letters, digits, _ or -`)
      if (all.some(([known]) => known === id)) return yield* Either.left(`${which} has the id of another one`)
      all.push([id, yield* bytesOf(which, secret)])
    }
    return all
  })

/**
 * Fails where a key is none.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { TokenCipher } from "@effect-dingtalk/auth"
 * import { Effect, Redacted } from "effect"
 *
 * Effect.gen(function*() {
 *   const secret = Redacted.make("bm90IGEgc2VjcmV0LCBhbiBleGFtcGxlOiAzMiBieXQ=")
 *   const cipher = yield* TokenCipher.make({ keys: [{ id: "2026-11", secret }] })
 *   const sealed = yield* cipher.seal("fw8ef8we8f76e6f7s8d", "api.dingtalk.com/dingquickstart/app/")
 *   console.log(sealed.startsWith("aes256gcm.2026-11.")) // true
 *   return yield* cipher.open(sealed, "api.dingtalk.com/dingquickstart/app/")
 * }).pipe(Effect.runPromise).then(console.log) // fw8ef8we8f76e6f7s8d
 * ```
 */
export const make = (options: Options): Effect.Effect<TokenCipher, TokenCipherError> =>
  Effect.gen(function*() {
    const raw = yield* Either.mapLeft(check(options.keys), failed)
    const keys = new Map<string, CryptoKey>()
    for (const [id, bytes] of raw) {
      const key = yield* Effect.promise(() =>
        crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"])
      )
      keys.set(id, key)
    }
    const [sealer] = raw[0]!
    const text = new TextDecoder("utf-8", { ignoreBOM: true })
    const bytes = new TextEncoder()
    const parameters = (iv: Uint8Array, name: string): GcmParameters => ({
      name: "AES-GCM",
      iv,
      additionalData: bytes.encode(name)
    })
    return {
      seal: (clear, name) =>
        Effect.map(
          Effect.promise(async () => {
            const iv = crypto.getRandomValues(new Uint8Array(12))
            return [
              iv,
              await crypto.subtle.encrypt(parameters(iv, name), keys.get(sealer)!, bytes.encode(clear))
            ] as const
          }),
          ([iv, data]) =>
            [MARK, sealer, Encoding.encodeBase64Url(iv), Encoding.encodeBase64Url(new Uint8Array(data))].join(".")
        ),
      open: (sealed, name) =>
        Effect.suspend(() => {
          if (!isSealed(sealed)) {
            return options.allowUnencrypted === true
              ? Effect.succeed(sealed)
              : Effect.fail(failed("it is not encrypted"))
          }
          const [, id = "", iv = "", data = "", ...more] = sealed.split(".")
          const [nonce, secret] = [canonical(iv), canonical(data)]
          if (!ID.test(id) || nonce?.length !== 12 || secret === undefined || more.length > 0) {
            return Effect.fail(failed("it is not what was written"))
          }
          const key = keys.get(id)
          if (key === undefined) {
            const description = `it is encrypted with the key ${id}, which is not given`
            return Effect.fail(new TokenCipherError({ description, unknownKey: id }))
          }
          return Effect.map(
            Effect.tryPromise({
              try: () => crypto.subtle.decrypt(parameters(nonce, name), key, secret),
              catch: () => failed(`it does not open with the key ${id}`)
            }),
            (clear) => text.decode(new Uint8Array(clear))
          )
        })
    }
  })

/**
 * From one setting, such as `2026-11:<Base64>,2026-05:<Base64>`: the first key seals.
 *
 * @since 0.1.0
 * @category config
 */
export const config = (name = "DINGTALK_TOKEN_STORE_KEYS"): Config.Config<Options> =>
  Config.mapOrFail(Config.redacted(name), (setting) => {
    const parts = Redacted.value(setting).split(",").map((each) => each.trim())
    const keys = parts.map((each): Key => {
      const [id = "", ...secret] = each.split(":")
      return { id, secret: Redacted.make(secret.join(":")) }
    })
    const checked = parts.every((each) => each.includes(":"))
      ? check(keys)
      : Either.left("every encryption key is written as <id>:<Base64>, with a comma between two of them")
    return Either.mapBoth(checked, {
      onLeft: (why) => ConfigError.InvalidData([name], why),
      onRight: () => ({ keys: keys as [Key, ...Array<Key>] })
    })
  })
