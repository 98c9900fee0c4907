/**
 * What can go wrong with the platform, to be injected into the next requests. Each answers in the words of the gateway
 * that was asked. Source: reference 4.2, 4.3 and 5.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * @since 0.1.0
 * @category schemas
 */
export const Fault = Schema.Union(
  Schema.TaggedStruct("Throttled", {}),
  Schema.TaggedStruct("ThrottledGlobally", {}),
  Schema.TaggedStruct("QuotaExhausted", {}),
  Schema.TaggedStruct("Busy", {}),
  Schema.TaggedStruct("IpNotAllowed", { ip: Schema.String }),
  Schema.TaggedStruct("IpBanned", { as: Schema.Literal("html", "json") }),
  Schema.TaggedStruct("Delay", { millis: Schema.Number.pipe(Schema.between(0, 2 ** 31 - 1)) }),
  Schema.TaggedStruct("Respond", {
    status: Schema.Int.pipe(Schema.between(200, 599)),
    headers: Schema.Record({
      key: Schema.String.pipe(Schema.pattern(/^[\w-]+$/)),
      value: Schema.String.pipe(Schema.pattern(/^[ -~]*$/))
    }),
    body: Schema.String
  })
)

/**
 * @since 0.1.0
 * @category models
 */
export type Fault = typeof Fault.Type

/**
 * The application calls one API too often: `90018`, or 403 `QpsLimitForAppkeyAndApi`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Emulator, Fault } from "@effect-dingtalk/emulator"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const emulator = yield* Emulator.Emulator
 *   yield* emulator.failNext(Fault.throttled, { matching: { endpoint: "contact.getUser" }, times: 2 })
 *   const { body } = yield* emulator.handle({ method: "POST", path: "/topapi/v2/user/get" })
 *   return body.includes("90018")
 * })
 * Effect.runPromise(Effect.provide(program, Emulator.layer())).then(console.log) // true
 * ```
 */
export const throttled: Fault = { _tag: "Throttled" }

/**
 * All applications together call one API too often: `90002`, or 403 `QpsLimitForApi`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const throttledGlobally: Fault = { _tag: "ThrottledGlobally" }

/**
 * The organisation has used up its calls of the month: `90020`, or 403 `ApiCountLimitForOrg`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const quotaExhausted: Fault = { _tag: "QuotaExhausted" }

/**
 * The platform is busy: `-1`, or 503.
 *
 * @since 0.1.0
 * @category constructors
 */
export const busy: Fault = { _tag: "Busy" }

/**
 * The caller's address is not on the white list of the application: `60020`, or 403 `IpNotInWhiteList`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ipNotAllowed = (ip: string): Fault => ({ _tag: "IpNotAllowed", ip })

/**
 * The caller's address is banned for five minutes: an HTML page, or JSON without an `errcode`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ipBanned = (as: "html" | "json"): Fault => ({ _tag: "IpBanned", as })

/**
 * The right answer, late.
 *
 * @since 0.1.0
 * @category constructors
 */
export const delay = (duration: Duration.DurationInput): Fault => ({
  _tag: "Delay",
  millis: Math.min(Duration.toMillis(duration), 2 ** 31 - 1)
})

/**
 * Any answer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const respond = (response: {
  readonly status?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body: string
}): Fault =>
  Fault.members[7].make({ status: response.status ?? 200, headers: response.headers ?? {}, body: response.body })
