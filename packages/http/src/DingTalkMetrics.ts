/**
 * What a program can watch: metrics of `effect/Metric`, for any exporter. Their tags are few: an endpoint's name, an
 * outcome, a dimension, a month; never an id, a URL or a code.
 *
 * The tokens' own metrics are counted where tokens are kept, in `@effect-dingtalk/auth`:
 * `dingtalk.client.token.refreshes` by `outcome`, and `dingtalk.client.token.stale`.
 *
 * @since 0.1.0
 */
import type { Dimension } from "@effect-dingtalk/core/ErrorCode"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"

const counter = (name: string, description: string) => MetricKey.counter(name, { description, incremental: true })

// 5 ms to 40 s.
const MILLIS = /*#__PURE__*/ MetricBoundaries.exponential({ start: 5, factor: 2, count: 15 })

const histogram = (name: string, description: string) =>
  MetricKey.tagged(MetricKey.histogram(name, MILLIS, description), "unit", "ms")

const CALLS = /*#__PURE__*/ counter("dingtalk.client.calls", "calls, by how they ended")
const DURATION = /*#__PURE__*/ histogram(
  "dingtalk.client.duration",
  "milliseconds of a call, with its token, its waits and its retries"
)
const THROTTLES = /*#__PURE__*/ counter("dingtalk.client.throttles", "answers of the platform: too many calls")
const LIMITER_WAIT = /*#__PURE__*/ histogram(
  "dingtalk.client.limiter.wait",
  "milliseconds that a call waited for its turn, of those that did"
)
const RETRIES = /*#__PURE__*/ counter("dingtalk.client.retries", "attempts after the first, by why")
const BUDGET = /*#__PURE__*/ counter("dingtalk.client.retries.denied", "retries that were not made: no budget left")
const METERED = /*#__PURE__*/ counter(
  "dingtalk.client.metered",
  "requests that count towards the organisation's month, by month in China"
)

/**
 * Calls that ended, tagged with `endpoint` and `outcome`: `success`, the tag of the error, `Interrupted` or `Defect`.
 *
 * @since 0.1.0
 * @category metrics
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { Contact } from "@effect-dingtalk/core"
 * import { Emulator, EmulatorHttpClient } from "@effect-dingtalk/emulator"
 * import { DingTalkHttp, DingTalkMetrics, HttpTransport } from "@effect-dingtalk/http"
 * import { Effect, Layer, Metric, Redacted } from "effect"
 *
 * const dingtalk = DingTalkHttp.layer().pipe(
 *   Layer.provide(TokenService.layer({ clientId: "dingquickstart", clientSecret: Redacted.make("quickstart-secret") })),
 *   Layer.provide(HttpTransport.layer()),
 *   Layer.provide(EmulatorHttpClient.layer),
 *   Layer.provide(Emulator.layer())
 * )
 *
 * const found = DingTalkMetrics.calls.pipe(
 *   Metric.tagged("endpoint", "contact.getUser"),
 *   Metric.tagged("outcome", "success")
 * )
 *
 * Contact.getUser({ userid: "zhangsan" }).pipe(
 *   Effect.zipRight(Metric.value(found)),
 *   Effect.provide(dingtalk),
 *   Effect.runPromise
 * ).then(({ count }) => console.log(count)) // 1
 * ```
 */
export const calls: Metric.Metric.Counter<number> = /*#__PURE__*/ Metric.fromMetricKey(CALLS)

/**
 * Milliseconds of a call, tagged with `endpoint`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const duration: Metric.Metric.Histogram<number> = /*#__PURE__*/ Metric.fromMetricKey(DURATION)

/**
 * Throttle answers, tagged with `endpoint` and `dimension`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const throttles: Metric.Metric.Counter<number> = /*#__PURE__*/ Metric.fromMetricKey(THROTTLES)

/**
 * Milliseconds for which calls waited for their turn, tagged with `endpoint`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const limiterWait: Metric.Metric.Histogram<number> = /*#__PURE__*/ Metric.fromMetricKey(LIMITER_WAIT)

/**
 * Attempts after the first, tagged with `endpoint` and `reason`: `throttled`, `busy`, `token` or `policy`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const retries: Metric.Metric.Counter<number> = /*#__PURE__*/ Metric.fromMetricKey(RETRIES)

/**
 * Retries that were not made because the budget was spent, tagged with `endpoint`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const retriesDenied: Metric.Metric.Counter<number> = /*#__PURE__*/ Metric.fromMetricKey(BUDGET)

/**
 * Requests that count towards the organisation's quota of the month, tagged with `endpoint` and `month`, such as
 * `2026-11`. Contacts, roles, tokens and sign-in are free, and so is what was throttled. Source: reference 5.
 *
 * @since 0.1.0
 * @category metrics
 */
export const metered: Metric.Metric.Counter<number> = /*#__PURE__*/ Metric.fromMetricKey(METERED)

// Source: reference 5 for what is free, 1 and 6 for the paths.
const FREE = [
  // contacts and roles
  /^\/v\d+\.\d+\/contact\//,
  /^\/(?:topapi\/(?:v2\/|inactive\/)?)?(?:user|department|role)\//,
  /^\/auth\/scopes$/,
  // tokens and sign-in
  /^\/v\d+\.\d+\/oauth2\//,
  /^\/(?:gettoken|get_jsapi_ticket)$/,
  /^\/(?:sns|sso|service)\//
]

/**
 * Whether the calls of an endpoint count towards the organisation's quota of the month.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isMetered = (endpoint: { readonly path: string }): boolean =>
  !FREE.some((free) => free.test(endpoint.path))

/**
 * The same metrics for one endpoint, looked up once.
 *
 * @internal
 */
export interface Recorder {
  readonly ended: (outcome: string, millis: number) => void
  readonly throttled: (dimension: Dimension) => void
  readonly waited: (millis: number) => void
  readonly retried: (reason: string) => void
  readonly denied: () => void
  readonly answered: (now: number) => void
}

type Update = (value: number) => void

const NO_TAGS: ReadonlyArray<MetricLabel.MetricLabel> = []

// A tagged metric looks its hook up by the hash of all its tags, each time; a key that holds them, once.
const updateOf = <Type extends MetricKeyType.MetricKeyType<number, any>>(
  key: MetricKey.MetricKey<Type>,
  tags: { readonly [name: string]: string }
): Update => {
  const metric = Metric.fromMetricKey(
    MetricKey.taggedWithLabels(key, Object.entries(tags).map(([name, value]) => MetricLabel.make(name, value)))
  )
  return (value) => metric.unsafeUpdate(value as never, NO_TAGS)
}

const byTag = (key: MetricKey.MetricKey.Counter<number>, endpoint: string, name: string): (value: string) => void => {
  const known = new Map<string, Update>()
  return (value) => {
    let update = known.get(value)
    if (update === undefined) known.set(value, update = updateOf(key, { endpoint, [name]: value }))
    update(1)
  }
}

const CHINA = 8 * 3600 * 1000

/** @internal */
export const recorderOf = (endpoint: { readonly name: string; readonly path: string }): Recorder => {
  const { name } = endpoint
  const outcomes = byTag(CALLS, name, "outcome")
  const months = byTag(METERED, name, "month")
  const durations = updateOf(DURATION, { endpoint: name })
  let waits: Update | undefined
  let denials: Update | undefined
  return {
    ended: (outcome, millis) => {
      outcomes(outcome)
      durations(millis)
    },
    throttled: byTag(THROTTLES, name, "dimension"),
    waited: (millis) => (waits ??= updateOf(LIMITER_WAIT, { endpoint: name }))(millis),
    retried: byTag(RETRIES, name, "reason"),
    denied: () => (denials ??= updateOf(BUDGET, { endpoint: name }))(1),
    answered: isMetered(endpoint) ? (now) => months(new Date(now + CHINA).toISOString().slice(0, 7)) : () => {}
  }
}
