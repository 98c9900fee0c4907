/**
 * What a page inside DingTalk needs to call the JSAPI: a ticket, kept fresh, and the signature that is made with it.
 *
 * @since 0.1.0
 */
import * as DingTalk from "@effect-dingtalk/core/DingTalk"
import type { CommonError } from "@effect-dingtalk/core/DingTalkError"
import { TransportError } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { AppCredentials } from "./AppCredentials.js"
import * as Upkeep from "./internal/upkeep.js"
import type { ManyOptions } from "./OrganizationTokens.js"

/**
 * What `dd.config` of the page takes, beside `agentId`, `corpId` and `jsApiList`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Signature {
  /** as `dd.config` spells it; milliseconds since the epoch, as text */
  readonly timeStamp: string
  readonly nonceStr: string
  /** in hexadecimal */
  readonly signature: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Page {
  /** of the page, as the browser has it; what follows `#` does not count */
  readonly url: string
  /** the current documentation hashes with SHA-256, older material and clients with SHA-1 (reference 1.7) */
  readonly algorithm?: "SHA-256" | "SHA-1" | undefined
  /** random unless it is given */
  readonly nonceStr?: string | undefined
  /** now unless it is given */
  readonly timeStamp?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** of the organisation whose `DingTalk` is in the context */
  readonly get: Effect.Effect<Redacted.Redacted, CommonError, DingTalk.DingTalk>
  readonly sign: (page: Page) => Effect.Effect<Signature, CommonError, DingTalk.DingTalk>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class JsapiTicket extends Context.Tag("@effect-dingtalk/auth/JsapiTicket")<JsapiTicket, Service>() {}

// Global in Node, Bun, Deno and on the edge, but in no library of the ECMAScript standard.
declare const crypto: {
  readonly getRandomValues: <A extends Uint8Array>(bytes: A) => A
  readonly subtle: { readonly digest: (algorithm: string, data: Uint8Array) => Promise<ArrayBuffer> }
}
declare const TextEncoder: new() => { readonly encode: (text: string) => Uint8Array }

/**
 * The platform compares with the URL in its decoded form (reference 1.7), where `+` is a space: its own samples decode
 * the query as a form.
 */
const decoded = (url: string): string => {
  const hash = url.indexOf("#")
  const page = hash === -1 ? url : url.slice(0, hash)
  const mark = page.indexOf("?")
  if (mark === -1) return page
  try {
    return page.slice(0, mark + 1) + decodeURIComponent(page.slice(mark + 1).replaceAll("+", " "))
  } catch {
    return page
  }
}

/**
 * The signature of one page with one ticket: a hash of `jsapi_ticket=…&noncestr=…&timestamp=…&url=…`.
 *
 * @since 0.1.0
 * @category functions
 */
export const signWith = (
  ticket: Redacted.Redacted,
  page: Page & { readonly nonceStr: string; readonly timeStamp: string }
): Effect.Effect<Signature> =>
  Effect.map(
    Effect.promise(() => {
      const { nonceStr, timeStamp, url } = page
      const text = `jsapi_ticket=${Redacted.value(ticket)}&noncestr=${nonceStr}&timestamp=${timeStamp}&url=${
        decoded(url)
      }`
      return crypto.subtle.digest(page.algorithm ?? "SHA-256", new TextEncoder().encode(text))
    }),
    (digest) => ({
      timeStamp: page.timeStamp,
      nonceStr: page.nonceStr,
      signature: Encoding.encodeHex(new Uint8Array(digest))
    })
  )

const randomText = Effect.sync(() => Encoding.encodeHex(crypto.getRandomValues(new Uint8Array(16))))

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: ManyOptions = {}): Effect.Effect<Service, never, AppCredentials | Scope.Scope> =>
  Effect.gen(function*() {
    const { clientId } = yield* AppCredentials
    const upkeep = yield* Upkeep.make(options)
    // Several hosts, or several organisations, may be served by one process.
    const platforms = new Map<string, DingTalk.Service>()
    const of = yield* upkeep.many((name) => {
      const { corpId, host } = platforms.get(name)!
      return {
        key: { host: host ?? "", clientId, kind: "jsapiTicket", subject: corpId },
        endpoint: OAuth2.CreateJsapiTicket.name,
        // By whoever asked last: the one who asked first may be closed by now.
        fetch: Effect.suspend(() =>
          Effect.map(
            platforms.get(name)!.call(OAuth2.CreateJsapiTicket, {}),
            ({ expireIn, jsapiTicket }) => ({ value: jsapiTicket, expireIn })
          )
        )
      }
    }, { ...options, onDrop: (name) => platforms.delete(name) })

    const get = Effect.flatMap(DingTalk.DingTalk, (dingtalk) => {
      const name = `${dingtalk.host ?? ""} ${dingtalk.corpId ?? ""}`
      platforms.set(name, dingtalk)
      return Effect.map(of(name).get, (ticket) => ticket.value)
    })

    return {
      get,
      sign: (page) =>
        Effect.gen(function*() {
          if (!/^https?:\/\/[^\s/]/i.test(page.url)) {
            return yield* new TransportError({
              endpoint: OAuth2.CreateJsapiTicket.name,
              reason: "Encode",
              path: "url",
              description: "expected the absolute URL of the page"
            })
          }
          const ticket = yield* get
          const nonceStr = page.nonceStr ?? (yield* randomText)
          const timeStamp = page.timeStamp ?? String(yield* Clock.currentTimeMillis)
          return yield* signWith(ticket, { ...page, nonceStr, timeStamp })
        })
    }
  })

/**
 * Signs a page for the organisation whose `DingTalk` is in the context.
 *
 * @since 0.1.0
 * @category accessors
 * @example
 * ```ts
 * import { AppCredentials, JsapiTicket } from "@effect-dingtalk/auth"
 * import { DingTalk, Endpoint, OAuth2 } from "@effect-dingtalk/core"
 * import { Effect, Layer } from "effect"
 *
 * const test = Layer.merge(
 *   JsapiTicket.layer().pipe(Layer.provide(AppCredentials.layerTest)),
 *   DingTalk.layerTest([
 *     Endpoint.handle(OAuth2.CreateJsapiTicket, () => Effect.succeed({ jsapiTicket: "ticket", expireIn: 7200 }))
 *   ])
 * )
 *
 * JsapiTicket.sign({ url: "https://app.example/page", nonceStr: "n", timeStamp: "1527130370219" }).pipe(
 *   Effect.provide(test),
 *   Effect.runPromise
 * ).then(({ signature }) => console.log(signature.length)) // 64
 * ```
 */
export const sign = (page: Page): Effect.Effect<Signature, CommonError, JsapiTicket | DingTalk.DingTalk> =>
  Effect.flatMap(JsapiTicket, (tickets) => tickets.sign(page))

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: ManyOptions = {}): Layer.Layer<JsapiTicket, never, AppCredentials> =>
  Layer.scoped(JsapiTicket, make(options))
