/**
 * What an emulator was asked. No entry holds a token, a secret or a one-time code.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  readonly id: number
  /** milliseconds since the epoch, by the emulator's clock */
  readonly at: number
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  /** JSON or a form with its secrets redacted; other text only by its length */
  readonly body: string
  /** the endpoint's stable name, such as `contact.getUser`, if the emulator knows it */
  readonly endpoint: string | undefined
  /** the application that called, if the request tells */
  readonly clientId: string | undefined
  /** the organisation that was meant, if the request tells */
  readonly corpId: string | undefined
  /** such as `Throttled`, if a fault was injected or the rate limit was exceeded */
  readonly fault: string | undefined
  /** `undefined` until answered, and for good if the caller went away */
  readonly status: number | undefined
}

/**
 * Which requests are meant: those that agree with all that is given; with nothing given, all.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Matcher = Schema.Struct({
  /** stable name, such as `contact.getUser` */
  endpoint: Schema.optional(Schema.String),
  /** as on the wire, such as `/topapi/v2/user/get` */
  path: Schema.optional(Schema.String),
  method: Schema.optional(Schema.String),
  clientId: Schema.optional(Schema.String),
  corpId: Schema.optional(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Matcher extends Schema.Schema.Type<typeof Matcher> {}

/**
 * @since 0.1.0
 * @category predicates
 * @example
 * ```ts
 * import { Emulator, RequestLog } from "@effect-dingtalk/emulator"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const emulator = yield* Emulator.Emulator
 *   yield* emulator.handle({ method: "GET", path: "/gettoken?appkey=dingquickstart&appsecret=wrong" })
 *   const log = yield* emulator.requests
 *   return log.filter(RequestLog.matches({ path: "/gettoken" })).map((entry) => entry.query)
 * })
 * Effect.runPromise(Effect.provide(program, Emulator.layer())).then(console.log)
 * // [ 'appkey=dingquickstart&appsecret=<redacted>' ]
 * ```
 */
export const matches =
  (matcher: Matcher) => (entry: Pick<Entry, "endpoint" | "path" | "method" | "clientId" | "corpId">): boolean =>
    (matcher.endpoint === undefined || matcher.endpoint === entry.endpoint) &&
    (matcher.path === undefined || matcher.path === entry.path) &&
    (matcher.method === undefined || matcher.method.toUpperCase() === entry.method) &&
    (matcher.clientId === undefined || matcher.clientId === entry.clientId) &&
    (matcher.corpId === undefined || matcher.corpId === entry.corpId)

/**
 * How many requests came from one app for one organisation to one endpoint, since the start or since the log was
 * cleared: right, however many entries the log keeps.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tally {
  readonly endpoint: string
  /** `undefined` where the request told of no app that there is */
  readonly clientId: string | undefined
  readonly corpId: string | undefined
  readonly count: number
}
