import * as AccessToken from "@effect-dingtalk/core/AccessToken"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import type * as Background from "./background.js"

/**
 * What the platform answered: a token and its life in seconds, as far as it says.
 *
 * @internal
 */
export interface Issued {
  readonly value: Redacted.Redacted
  readonly expireIn: number | undefined
  /** where it was asked for earlier than the round that brings it */
  readonly askedAt?: number | undefined
}

/** @internal */
export interface Options<E> {
  /**
   * one fetch; it ends by itself. Not the token that was rejected, and one that lives longer than the token in use.
   */
  readonly acquire: (
    rejected: Redacted.Redacted | undefined,
    before: AccessToken.AccessToken | undefined
  ) => Effect.Effect<Issued, E>
  /** a failure that asking again cannot mend, and for how long nobody asks then */
  readonly finality: (error: E) => Duration.Duration | undefined
  /**
   * a failure that may soon be over, and that cost a request: the more of them in a row, the longer nobody asks while
   * there is no token to go on with. One that is `throttled` says by itself that there was too much asking
   */
  readonly passing?: ((error: E) => "busy" | "throttled" | undefined) | undefined
  /** a failure that is the end of the token in use too, however long that would live */
  readonly ends?: ((error: E) => boolean) | undefined
  /** whether a refresh is due by the clock alone, or when somebody asks for the token */
  readonly refresh: "scheduled" | "onDemand"
  /** runs fetches and timers away from the callers: a caller that goes away harms nobody */
  readonly fork: Background.Fork
  /** whether whoever kept this token has been closed: nothing is fetched any more */
  readonly isClosed?: (() => boolean) | undefined
  /** the most by which a scheduled refresh comes earlier than it need, in milliseconds, so that many are not due at once */
  readonly spread?: number | undefined
  /** refreshed by the clock only while used: not where nobody has asked for so long, in milliseconds */
  readonly idleAfter?: number | undefined
  readonly initial?: {
    readonly accessToken: Redacted.Redacted
    readonly expiresAt: number
    readonly issuedAt?: number | undefined
  } | undefined
}

// What the platform documents; a life that is absent, zero or negative says nothing.
const USUAL_LIFE = Duration.toMillis("2 hours")
const LONGEST_LIFE = Duration.toMillis("1 day")
// The guide: refresh 10 minutes before expiration.
const EARLY = Duration.toMillis("10 minutes")
// Lives below this are followed when somebody asks, not by the clock: a timer would only make traffic.
const SHORTEST_TIMER = Duration.toMillis("1 minute")
const COOL_DOWN = Duration.toMillis("30 seconds")
// A call is tried three times within half a second: two bad answers must not shut it out. Then nobody asks for 1, 2, 4 …
// seconds, which a throttled call waits for as well; no longer than 8, for the end of an outage is to be seen soon.
const LET_THROUGH = 2
const FIRST_PAUSE = Duration.toMillis("1 second")
const LONGEST_PAUSE = Duration.toMillis("8 seconds")

/**
 * The platform gives the same token again while it thinks it valid; asking once more at once would change nothing.
 *
 * @internal
 */
export const SAME_AGAIN = Duration.toMillis("5 seconds")

const counter = (name: string, description: string) => MetricKey.counter(name, { description, incremental: true })

const REFRESHES = /*#__PURE__*/ counter("dingtalk.client.token.refreshes", "fetches of a token, by how they ended")
const STALE = /*#__PURE__*/ Metric.fromMetricKey(
  /*#__PURE__*/ counter("dingtalk.client.token.stale", "tokens served after their refresh was due")
)

const NO_TAGS: ReadonlyArray<MetricLabel.MetricLabel> = []

/** `success`, or the tag of the error. */
const countRefresh = (outcome: string): void =>
  Metric.fromMetricKey(MetricKey.taggedWithLabels(REFRESHES, [MetricLabel.make("outcome", outcome)]))
    .unsafeUpdate(1, NO_TAGS)

interface Live {
  readonly token: AccessToken.AccessToken
  readonly refreshAt: number
  readonly exit: Exit.Exit<AccessToken.AccessToken>
}

/**
 * When a token is due for its refresh, in milliseconds since the epoch.
 *
 * @internal
 */
export const refreshAt = (expiresAt: number, issuedAt: number): number =>
  expiresAt - Math.min(EARLY, (expiresAt - issuedAt) / 2)

/**
 * In milliseconds.
 *
 * @internal
 */
export const lifeOf = (expireIn: number | undefined): number =>
  expireIn === undefined || !(expireIn > 0) ? USUAL_LIFE : Math.min(expireIn * 1000, LONGEST_LIFE)

const liveUntil = (token: AccessToken.AccessToken, early: number): Live => ({
  token,
  refreshAt: token.expiresAt - early,
  exit: Exit.succeed(token)
})

const toLive = (issued: Issued, askedAt: number, before: Live | undefined, spread: number): Live => {
  const life = lifeOf(issued.expireIn)
  const token = AccessToken.make(issued.value, askedAt + life)
  // The same token with the same end: asking early again would bring no more.
  const isUnmoved = before !== undefined && AccessToken.isSame(before.token.value, issued.value) &&
    token.expiresAt - before.token.expiresAt < SHORTEST_TIMER
  const early = Math.min(EARLY, life / 2)
  return liveUntil(token, isUnmoved ? 0 : early + Math.min(spread, (life - early) / 4))
}

/** @internal */
export interface TokenCell<E> extends AccessToken.Source<E> {
  /** when somebody last asked, in milliseconds since the epoch */
  readonly lastUsedAt: () => number
  /** from when on its token is no longer of use without a refresh, in milliseconds since the epoch */
  readonly dueAt: () => number
  /** whether a fetch is under way */
  readonly isBusy: () => boolean
  /** no timer goes on; who still holds it and asks is answered all the same */
  readonly drop: () => void
}

/**
 * Keeps one token fresh.
 *
 * `Effect.cachedInvalidateWithTTL` makes one fetch of many and remembers it. By itself it would hand a failure out for
 * its whole time to live, know nothing of the token's own life, let every caller of a rejected token start a fetch, and
 * die with the caller that runs it. So what it remembers is a round: a fetch that never fails (its exit is data), that
 * is evicted only when it is over, and that callers do not run: all wait for the one fiber that does.
 *
 * @internal
 */
export const make = <E>(options: Options<E>): Effect.Effect<TokenCell<E>> =>
  Effect.gen(function*() {
    let lastUsedAt = -Infinity
    let isDropped = false
    let live: Live | undefined
    if (options.initial !== undefined) {
      const { accessToken, expiresAt, issuedAt } = options.initial
      live = liveUntil(
        AccessToken.make(accessToken, expiresAt),
        issuedAt === undefined || issuedAt >= expiresAt ? EARLY : expiresAt - refreshAt(expiresAt, issuedAt)
      )
    }
    let flight: Fiber.RuntimeFiber<Exit.Exit<AccessToken.AccessToken, E>> | undefined
    let timer: Fiber.RuntimeFiber<unknown> | undefined
    let final: { readonly exit: Exit.Exit<never, E>; seenAt: number; readonly until: number } | undefined
    let inRow = 0
    let pausedUntil = -Infinity
    let rejected: { readonly value: Redacted.Redacted; readonly at: number } | undefined
    let notBefore = 0

    const succeed = (issued: Issued, askedAt: number, now: number) =>
      Effect.map(Random.next, (random) => {
        countRefresh("success")
        live = toLive(issued, askedAt, live, random * (options.spread ?? 0))
        final = undefined
        inRow = 0
        notBefore = 0
        const delay = live.refreshAt - now
        if (delay >= SHORTEST_TIMER) schedule(delay)
        return live.exit
      })

    /** For how long nobody asks after one more failure that may soon be over. */
    const pauseAfter = (how: "busy" | "throttled", askedAt: number, now: number, random: number): number => {
      // Failures as far apart as those of a background refresh make no row.
      if (askedAt - pausedUntil >= COOL_DOWN) inRow = 0
      inRow = (how === "throttled" ? Math.max(inRow, LET_THROUGH) : inRow) + 1
      const pause = inRow > LET_THROUGH ? Math.min(FIRST_PAUSE * 2 ** (inRow - LET_THROUGH - 1), LONGEST_PAUSE) : 0
      const spread = pause * (1 + random) / 2
      pausedUntil = now + spread
      return spread
    }

    const fail = (cause: Cause.Cause<E>, askedAt: number, now: number) =>
      Effect.flatMap(Random.next, (random) => {
        countRefresh(summaryOf(cause))
        const exit: Exit.Exit<never, E> = Exit.failCause(cause)
        const error = Cause.failureOption(cause)
        const span = Option.getOrUndefined(Option.map(error, options.finality))
        if (options.ends !== undefined && Option.exists(error, options.ends)) live = undefined
        const stated = span === undefined ? 0 : Duration.toMillis(span)
        const how = stated > 0 || Option.isNone(error) ? undefined : options.passing?.(error.value)
        const millis = how === undefined ? stated : pauseAfter(how, askedAt, now, random)
        final = millis > 0 ? { exit, seenAt: now, until: now + millis } : undefined
        // Between one and two cool-downs, so that processes that failed together do not come back together.
        notBefore = now + Math.max(COOL_DOWN * (1 + random), millis)
        if (live === undefined || now >= live.token.expiresAt) return Effect.succeed(exit)
        schedule(notBefore - now)
        return Effect.logWarning("DingTalk token refresh failed; the token in use serves on").pipe(
          Effect.annotateLogs({ cause: summaryOf(cause), expiresAt: live.token.expiresAt }),
          Effect.as(exit)
        )
      })

    const fetch: Effect.Effect<readonly [Exit.Exit<Issued, E>, number]> = Effect.flatMap(
      Clock.currentTimeMillis,
      (askedAt) =>
        Effect.map(
          Effect.exit(Effect.interruptible(Effect.suspend(() =>
            // One that was refused and came back all the same is in use again.
            options.acquire(live === undefined ? rejected?.value : undefined, live?.token)
          ))),
          (exit) => [exit, askedAt] as const
        )
    )

    const round = Effect.suspend(() => {
      const before = rejected
      return fetch.pipe(
        // Rejected while it was being fetched again: the platform had not noticed yet, so this answer is an old one.
        Effect.flatMap((answer) =>
          before !== rejected && Exit.isSuccess(answer[0]) && AccessToken.isSame(answer[0].value.value, rejected!.value)
            ? fetch
            : Effect.succeed(answer)
        ),
        Effect.zip(Clock.currentTimeMillis),
        Effect.flatMap(([[exit, askedAt], now]): Effect.Effect<Exit.Exit<AccessToken.AccessToken, E>> =>
          Exit.isSuccess(exit)
            ? succeed(exit.value, exit.value.askedAt ?? askedAt, now)
            : fail(exit.cause, askedAt, now)
        )
      )
    })

    const [remembered, evict] = yield* Effect.cachedInvalidateWithTTL(round, Duration.millis(LONGEST_LIFE))

    /** Joins the round under way, or starts one: what an earlier one brought is in `live`, and no answer any more. */
    const join = () => {
      if (flight !== undefined) return flight
      const fiber = options.fork(Effect.zipRight(evict, remembered))
      flight = fiber
      fiber.addObserver(() => {
        if (flight === fiber) flight = undefined
      })
      return fiber
    }

    const wait = Effect.suspend(() =>
      options.isClosed?.() === true ? Effect.interrupt : Effect.flatten(Effect.flatten(Fiber.await(join())))
    )

    const schedule = (delay: number) => {
      if (options.refresh === "onDemand" || isDropped || options.isClosed?.() === true) return
      timer?.unsafeInterruptAsFork(FiberId.none)
      timer = options.fork(Effect.clockWith((clock) =>
        Effect.map(clock.sleep(Duration.millis(delay)), () => {
          const isIdle = options.idleAfter !== undefined &&
            clock.unsafeCurrentTimeMillis() - lastUsedAt >= options.idleAfter
          if (!isIdle) join()
        })
      ))
    }

    return {
      get: Effect.clockWith((clock): Effect.Effect<AccessToken.AccessToken, E> => {
        const now = clock.unsafeCurrentTimeMillis()
        lastUsedAt = now
        if (live !== undefined && now < live.token.expiresAt) {
          if (now >= live.refreshAt) {
            STALE.unsafeUpdate(1, NO_TAGS)
            if (now >= notBefore && flight === undefined && options.isClosed?.() !== true) join()
          }
          return live.exit
        }
        // A clock that was set back, at any time since, makes no failure last longer.
        if (final === undefined || now < final.seenAt || now >= final.until) return wait
        final.seenAt = now
        return final.exit
      }),
      unsafePeek: (now) => {
        if (live === undefined || now >= live.refreshAt) return undefined
        lastUsedAt = now
        return live.token
      },
      invalidate: (value) =>
        Effect.clockWith((clock) => {
          if (live === undefined || !AccessToken.isSame(live.token.value, value)) return Effect.void
          const now = clock.unsafeCurrentTimeMillis()
          if (
            rejected !== undefined && AccessToken.isSame(rejected.value, value) && now >= rejected.at &&
            now - rejected.at < SAME_AGAIN
          ) return Effect.void
          rejected = { value, at: now }
          live = undefined
          return Effect.void
        }),
      lastUsedAt: () => lastUsedAt,
      dueAt: () => live?.refreshAt ?? -Infinity,
      isBusy: () => flight !== undefined,
      drop: () => {
        isDropped = true
        timer?.unsafeInterruptAsFork(FiberId.none)
      }
    }
  })

const summaryOf = (cause: Cause.Cause<unknown>): string => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  return typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : cause._tag
}
