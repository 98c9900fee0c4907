/**
 * Which failures are tried again, and when. Retries heal a single bad answer; they must not multiply an outage, nor do
 * a thing twice that was to be done once.
 *
 * @since 0.1.0
 */
import type { DingTalkError } from "@effect-dingtalk/core/DingTalkError"
import type { Endpoint } from "@effect-dingtalk/core/Endpoint"
import * as Duration from "effect/Duration"

/**
 * One failed attempt.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly endpoint: Pick<Endpoint.Any, "name" | "method" | "idempotent">
  /** of the call, or of the token that it needed */
  readonly error: DingTalkError | { readonly _tag: string }
  /** how many times this call has failed, this one included */
  readonly attempt: number
  /** whether the request may have reached the platform */
  readonly sent: boolean
  /** between 0 and 1, for jitter */
  readonly random: number
}

/**
 * How long to wait before the next attempt; `undefined` for none.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = (failure: Failure) => Duration.DurationInput | undefined

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** attempts in all while the platform is busy or cannot be reached: 3 unless it says otherwise */
  readonly attempts?: number | undefined
  /** the first wait is a random part of this, the next one of twice as much, …: 200 milliseconds */
  readonly base?: Duration.DurationInput | undefined
  /** … but of no more than this: 5 seconds */
  readonly cap?: Duration.DurationInput | undefined
  /**
   * How many retries all calls together may have in hand: 20, and as many for throttled calls alone. Each
   * success gives back a fifth of a retry, and a whole one of a throttled call, which the platform refuses before it
   * looks at it. So in the long run retries add no more than a fifth to the calls that succeed, and those of throttled
   * calls no more than as many again; while nothing succeeds, nothing.
   */
  readonly budget?: number | undefined
  /** in place of `policy(options)`; the budget and the deadline hold all the same */
  readonly policy?: Policy | undefined
}

/**
 * What a failure is to a retry:
 *
 * - `throttled`: refused before it was processed, so it may be sent again whatever it does
 * - `busy`: nobody knows whether it had an effect, and the endpoint says that a second time does no harm; or it cannot
 *   have reached the platform
 * - `final`: trying again does not help, or might do the thing twice
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = "throttled" | "busy" | "final"

// Of a connection that was never made.
const NOT_CONNECTED = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT)$/

/**
 * @since 0.1.0
 * @category getters
 * @example
 * ```ts
 * import { Contact, DingTalkError } from "@effect-dingtalk/core"
 * import { Retry } from "@effect-dingtalk/http"
 *
 * const endpoint = Contact.GetUser
 * const busy = new DingTalkError.Unavailable({ endpoint: endpoint.name, code: "-1" })
 * const used = new DingTalkError.QuotaExhausted({ endpoint: endpoint.name, code: "90020" })
 * console.log(Retry.kindOf({ endpoint, error: busy, sent: true })) // busy
 * console.log(Retry.kindOf({ endpoint: { ...endpoint, idempotent: false }, error: busy, sent: true })) // final
 * console.log(Retry.kindOf({ endpoint, error: used, sent: true })) // final
 * ```
 */
export const kindOf = ({ endpoint, error, sent }: Pick<Failure, "endpoint" | "error" | "sent">): Kind => {
  const failure = error as DingTalkError
  const mayRepeat = endpoint.idempotent || !sent
  switch (failure._tag) {
    case "RateLimited":
      return failure.dimension === "WorkNotice" ? "final" : "throttled"
    case "Unavailable":
      return mayRepeat ? "busy" : "final"
    case "TransportError":
      return failure.reason === "Network" && (mayRepeat || NOT_CONNECTED.test(failure.networkCode ?? ""))
        ? "busy"
        : "final"
    default:
      return "final"
  }
}

// Source: reference 5 and 7.2, for refusals that do not state their end.
const WINDOW = 1000
const ROBOT_BLOCK = 10 * 60 * 1000

/**
 * Full jitter: a random part of `base`, doubled with every attempt, up to `cap`. What the platform states is waited for
 * before that, even if it is no time at all; a throttle that states nothing is waited for 1, 2, 4 … seconds.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Contact, DingTalkError } from "@effect-dingtalk/core"
 * import { Retry } from "@effect-dingtalk/http"
 * import { Duration } from "effect"
 *
 * const policy = Retry.policy({ base: "1 second" })
 * const failure = {
 *   endpoint: Contact.GetUser,
 *   error: new DingTalkError.Unavailable({ endpoint: "contact.getUser" }),
 *   sent: true,
 *   random: 0.5
 * }
 * const wait = (attempt: number) => policy({ ...failure, attempt })
 * console.log([wait(1), wait(2)].map((each) => Duration.format(each!)), wait(3)) // [ '500ms', '1s' ] undefined
 * ```
 */
export const policy = (options: Omit<Options, "policy" | "budget"> = {}): Policy => {
  const attempts = options.attempts ?? 3
  const base = Duration.toMillis(options.base ?? 200)
  const cap = Duration.toMillis(options.cap ?? "5 seconds")
  const jitter = (attempt: number, random: number) => random * Math.min(cap, base * 2 ** (attempt - 1))
  return (failure) => {
    const { attempt, random } = failure
    const error = failure.error as DingTalkError
    const kind = kindOf(failure)
    if (kind === "final" || (kind === "busy" && attempt >= attempts)) return undefined
    const stated = "retryAfter" in error && error.retryAfter !== undefined
      ? Duration.toMillis(error.retryAfter)
      : undefined
    // On top of what is stated: all who were told the same time would come back at the same moment.
    if (kind === "busy") return (stated ?? 0) + jitter(attempt, random)
    const robot = error._tag === "RateLimited" && error.dimension === "Robot"
    const unstated = robot ? ROBOT_BLOCK : Math.max(WINDOW, Math.min(cap, WINDOW * 2 ** (attempt - 1)))
    return (stated ?? unstated) + jitter(attempt, random)
  }
}

/**
 * The retries that are in hand. Plain arithmetic; one for all calls of an app.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budget {
  /** takes one, if there is one; for a throttled call first of those that are for throttled calls alone */
  readonly take: (kind: Kind) => boolean
  readonly succeeded: () => void
}

const REFUND = 0.2

/** @internal */
export const CAPACITY = 20

/**
 * @since 0.1.0
 * @category constructors
 */
export const budget = (capacity = CAPACITY): Budget => {
  let left = capacity
  let throttled = capacity
  return {
    take: (kind) => {
      if (kind === "throttled" && throttled >= 1) {
        throttled--
        return true
      }
      if (left < 1) return false
      left--
      return true
    },
    succeeded: () => {
      if (left < capacity) left = Math.min(capacity, left + REFUND)
      if (throttled < capacity) throttled = Math.min(capacity, throttled + 1)
    }
  }
}
