/**
 * One pace for all processes: together they send no more than the platform permits one app on one API, for each
 * organisation of a third-party app by itself; and what one learns of throttles and bans, all heed.
 *
 * Redis gives places in a lane's queue, by its own clock. A process holds no more than it needs for the next tenth of a
 * second, in the order in which processes ask; so none starves, and whoever gives up leaves at most these, which go to
 * the next who asks. Every call also passes this process's own limiter: while Redis is away that one paces alone.
 *
 * @since 0.1.0
 */
import { IpBanned, RateLimited } from "@effect-dingtalk/core/DingTalkError"
import * as Limiter from "@effect-dingtalk/http/Limiter"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Pace from "./internal/pace.js"
import * as Queue from "./internal/queue.js"
import { fromEnvironment, PREFIX } from "./internal/settings.js"
import * as RedisConnection from "./RedisConnection.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface LimiterOptions {
  /** what all keys begin with; `dingtalk:` unless it says otherwise */
  readonly prefix?: string | undefined
  /** the longest that Redis may take to answer; 500 ms unless it says otherwise */
  readonly timeout?: Duration.DurationInput | undefined
  /** for how long a Redis that failed is not asked again; 1 second unless it says otherwise */
  readonly coolDown?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends LimiterOptions, RedisConnection.Options {}

/**
 * Turns that were taken from this process's own pace, because Redis did not answer.
 *
 * @since 0.1.0
 * @category metrics
 */
export const unshared: Metric.Metric.Counter<number> = /*#__PURE__*/ Metric.fromMetricKey(
  /*#__PURE__*/ MetricKey.counter("dingtalk.client.limiter.unshared", {
    description: "turns that were taken from the process's own pace, because Redis did not answer",
    incremental: true
  })
)

const SECOND = 1000
/** Later than that, a call tells when it really went. */
const LATE = 5
/** So often whoever waits asks whether there is a pause; where many lanes wait, one asks each millisecond. */
const HEARTBEAT = 100
/** So many questions are under way, in the order of the lanes: more at once would not be answered in time. */
const ASKERS = 256
/** Two answers about one pause differ by less. */
const SAME = 5
// As in memory.
const LONGEST_PAUSE = 60 * SECOND
const LONGEST_BAN = 86_400 * SECOND

/** There only while somebody waits, or Redis has to be told something. */
interface Line extends Pace.Line {
  /** when Redis last answered, by the clock of this process */
  heardAt: number
  isReported: boolean
  isAsking: boolean
  isAsked: boolean
  isDriven: boolean
  isSignalled: boolean
  wake: (() => void) | undefined
}

const waiterOf = (before: number): Queue.Waiter => ({ before, outcome: undefined, resume: () => {} })

/** What a pause that was learnt of from Redis is to the process's own limiter. */
const errorOf = (scope: Pace.Scope, isBan: boolean, endpoint: string, millis: number): IpBanned | RateLimited => {
  const retryAfter = Duration.millis(millis)
  return isBan
    ? new IpBanned({ endpoint, retryAfter })
    : new RateLimited({ endpoint, dimension: DIMENSIONS[scope], retryAfter })
}

const DIMENSIONS = { lane: "AppAndApi", tenant: "OrgAndApp", app: "Suite", host: "Server" } as const

const makeWith = (
  client: RedisConnection.Client,
  options: LimiterOptions
): Effect.Effect<Limiter.Service, never, Scope.Scope> =>
  Effect.gen(function*() {
    const local = yield* Limiter.make
    const clock = yield* Effect.clock
    const scope = yield* Effect.scope
    const runtime = yield* Effect.runtime<never>()
    const runFork = Runtime.runFork(runtime)
    // Not at once: of those that come together, all are asked for together.
    const fork = (effect: Effect.Effect<void>) =>
      void runFork(Effect.interruptible(effect), { scope, immediate: false })
    const prefix = options.prefix ?? PREFIX
    const coolDown = Duration.decode(options.coolDown ?? "1 second")
    const pace = Pace.make(client, clock, Duration.decode(options.timeout ?? "500 millis"))
    const { monotonic, offset } = pace
    const redisNow = () => monotonic() + offset()

    const lines = new Map<string, Line>()
    /** when anything was heard of a host */
    const heard = new Map<string, number>()
    /** until when what is paused, as far as the process's own limiter has been told */
    const told = new Map<string, number>()
    let sweepAt = 64
    const toAsk: Array<Line> = []
    let askers = 0
    let isDown = false

    const lineOf = (lane: Limiter.Lane): Line => ({
      ...Queue.make(lane),
      keys: Pace.keysOf(prefix, lane),
      heardAt: Number.NEGATIVE_INFINITY,
      isReported: false,
      isAsking: false,
      isAsked: false,
      isDriven: false,
      isSignalled: false,
      wake: undefined
    })

    const find = (lane: Limiter.Lane): Line => {
      let line = lines.get(lane.key)
      if (line === undefined) lines.set(lane.key, line = lineOf(lane))
      return line
    }

    const signal = (line: Line) => {
      line.isSignalled = true
      line.wake?.()
      if (!line.isDriven && !isDown) {
        line.isDriven = true
        if (!lines.has(line.lane.key)) lines.set(line.lane.key, line)
        fork(drive(line))
      }
    }

    const fail = (description: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (isDown) return Effect.void
        isDown = true
        for (const line of toAsk.splice(0)) line.isAsking = false
        for (const line of lines.values()) {
          Queue.release(line)
          line.places = []
          signal(line)
        }
        lines.clear()
        fork(retry)
        return Effect.annotateLogs(
          Effect.logWarning("DingTalk limiter: Redis failed; this process paces itself meanwhile"),
          { cause: description }
        )
      })

    // Somebody who waits, so that there is something to write.
    const probe = lineOf(Limiter.lane({ host: "probe", app: prefix, endpoint: "", perSecond: 1 }))
    probe.rest.add(waiterOf(Number.POSITIVE_INFINITY))

    const retry: Effect.Effect<void> = Effect.suspend(() =>
      Effect.sleep(coolDown).pipe(
        Effect.zipRight(Effect.either(pace.ask(probe))),
        Effect.flatMap((answer) => {
          if (answer._tag === "Left") return retry
          isDown = false
          return Effect.logInfo("DingTalk limiter: Redis is back, and the pace is shared again")
        })
      )
    )

    /** All of this process that a pause concerns heed it, those too that have not asked yet. */
    const hold = (scope: Pace.Scope, key: string, until: number, isBan: boolean) => {
      const now = redisNow()
      for (const line of lines.values()) {
        if (line.keys.pauses[scope] !== key) continue
        if (isBan) Queue.release(line)
        else if (Number.isFinite(until)) {
          Queue.pause(line, until)
          Queue.review(line, now, offset())
        }
        signal(line)
      }
    }

    /** What other processes have learnt, this one heeds too. */
    const learn = (line: Line, scope: Pace.Scope, until: number, millis: number, isBan: boolean): Effect.Effect<void> =>
      Effect.suspend(() => {
        const key = line.keys.pauses[scope]
        const name = isBan ? `${key} ban` : key
        // Of ten thousand lanes each hears of it, and to tell the limiter once is enough.
        if (millis <= 0 || Math.abs((told.get(name) ?? 0) - until) <= SAME) return Effect.void
        return Effect.map(local.pause(line.lane, errorOf(scope, isBan, line.lane.endpoint, millis)), () => {
          if (told.size >= sweepAt) {
            const now = redisNow()
            for (const [each, end] of told) if (end <= now) told.delete(each)
            sweepAt = told.size * 2 + 64
          }
          told.set(name, until)
          hold(scope, key, until, isBan)
        })
      })

    const hear = (line: Line, { given, isBan, isReported, now, others, pauses, soonest }: Pace.Answer) =>
      Effect.suspend(() => {
        line.heardAt = monotonic()
        line.soonest = soonest
        line.others = others
        line.isReported = isReported
        heard.set(line.lane.host, line.heardAt)
        Queue.add(line, given)
        const pause = Math.max(...pauses)
        if (pause > 0) Queue.pause(line, now + pause)
        const learnt = pause <= 0 ? Effect.void : Effect.forEach(
          Pace.scopes,
          (scope, i) => learn(line, scope, now + pauses[i]!, pauses[i]!, isBan && scope === "host"),
          { discard: true }
        )
        return Effect.map(learnt, () => {
          if (line.limit === 0 || isBan) Queue.release(line)
          else Queue.review(line, redisNow(), offset())
        })
      })

    const ask = (line: Line): Effect.Effect<void> =>
      Effect.suspend(() => {
        line.isAsked = true
        return pace.ask(line)
      }).pipe(
        Effect.flatMap((answer) => hear(line, answer)),
        Effect.catchAll(fail),
        Effect.ensuring(Effect.sync(() => {
          line.isAsking = false
          signal(line)
        }))
      )

    const asker: Effect.Effect<void> = Effect.suspend(() => {
      const line = toAsk.shift()
      if (line !== undefined) return Effect.zipRight(ask(line), asker)
      askers--
      return Effect.void
    })

    const beat = () => Math.max(HEARTBEAT, lines.size)

    /** Runs as long as anybody waits, or Redis has to be told something. */
    const drive = (line: Line): Effect.Effect<void> =>
      Effect.gen(function*() {
        for (;;) {
          line.isSignalled = false
          if (isDown) {
            Queue.release(line)
            break
          }
          const at = monotonic()
          if (Queue.advance(line, at + offset(), offset())) line.isAsked = false
          const waiting = Queue.sizeOf(line)
          const wanted = waiting - line.places.length
          const hasNews = line.returned.length > 0 || line.moved.length > 0 || (line.isReported && wanted === 0)
          const nextBeat = line.heardAt + beat()
          if (
            !line.isAsking && (
              hasNews ||
              (waiting > 0 && at >= nextBeat) ||
              (wanted > 0 && !line.isAsked && (line.places.length < line.ahead || line.limit === 0))
            )
          ) {
            line.isAsking = true
            toAsk.push(line)
            if (askers < ASKERS) {
              askers++
              fork(asker)
            }
          }
          if (waiting === 0 && !line.isAsking) break
          const first = line.places[0]
          const until = Math.min(
            line.isAsking ? Number.POSITIVE_INFINITY : nextBeat,
            first === undefined ? Number.POSITIVE_INFINITY : first.at - offset()
          )
          yield* pass(line, until - at)
        }
      }).pipe(
        Effect.ensuring(Effect.sync(() => {
          line.isDriven = false
          if (lines.get(line.lane.key) === line) lines.delete(line.lane.key)
          Queue.release(line)
        }))
      )

    const pass = (line: Line, millis: number): Effect.Effect<void> => {
      const signalled = Effect.async<void>((resume) => {
        if (line.isSignalled) return resume(Effect.void)
        line.wake = () => {
          line.wake = undefined
          resume(Effect.void)
        }
      })
      return Number.isFinite(millis)
        ? Effect.raceFirst(clock.sleep(Duration.millis(Math.max(1, Math.ceil(millis)))), signalled)
        : signalled
    }

    /** Waits until Redis gives a place, or leaves it to the process's own limiter. */
    const wait = (line: Line, waiter: Queue.Waiter, again: boolean): Effect.Effect<Queue.Outcome> =>
      Effect.async<Queue.Outcome>((resume) => {
        waiter.resume = resume
        ;(again ? line.first : line.rest).add(waiter)
        line.isAsked = false
        signal(line)
      })

    const leave = (line: Line, waiter: Queue.Waiter) => {
      Queue.leave(line, waiter)
      signal(line)
    }

    const alone = (lane: Limiter.Lane, turn: Limiter.Turn) => {
      unshared.unsafeUpdate(1, [])
      return local.take(lane, turn)
    }

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isDown = true
        for (const line of lines.values()) Queue.release(line)
      })
    )

    return {
      check: (lane) =>
        Effect.zipRight(
          local.check(lane),
          Effect.suspend(() => {
            if (isDown || monotonic() - (heard.get(lane.host) ?? Number.NEGATIVE_INFINITY) < SECOND) return Effect.void
            const line = find(Limiter.lane({ host: lane.host, app: "", endpoint: "", perSecond: Infinity }))
            const waiter = waiterOf(Number.POSITIVE_INFINITY)
            return wait(line, waiter, false).pipe(
              Effect.onInterrupt(() => Effect.sync(() => leave(line, waiter))),
              Effect.zipRight(local.check(lane))
            )
          })
        ),

      take: (lane, turn) =>
        Effect.suspend(() => {
          if (isDown) return alone(lane, turn)
          const line = find(lane)
          const start = monotonic()
          const before = start + (turn.before - clock.unsafeCurrentTimeMillis())
          const size = Queue.sizeOf(line)
          if (size > 0 && start - line.heardAt < 3 * beat() && line.limit > 0) {
            const now = redisNow()
            const wait = Queue.turnAt(line, turn.again ? line.first.size : size, now) - now
            if (start + wait > before) return Effect.fail(Queue.refuse(lane, wait))
          }
          const waiter = waiterOf(before)
          return Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(Effect.exit(restore(wait(line, waiter, turn.again))), (exit) => {
              if (Exit.isFailure(exit)) {
                leave(line, waiter)
                return Effect.failCause(exit.cause)
              }
              const place = exit.value
              if (place === undefined) return restore(isDown ? alone(lane, turn) : local.take(lane, turn))
              if (place instanceof RateLimited) return Effect.fail(place)
              return restore(local.take(lane, turn)).pipe(
                Effect.onError(() => Effect.sync(() => leave(line, waiter))),
                Effect.map((waited) => {
                  // At the latest, as far as the two clocks are known.
                  const went = monotonic() + pace.most()
                  if (went - place.at > LATE) {
                    line.moved.push(place.id, went.toFixed(3))
                    signal(line)
                  }
                  return place.isNow ? waited : Math.max(0, Math.round(monotonic() - start))
                })
              )
            })
          )
        }),

      pause: (lane, error) =>
        Effect.suspend(() => {
          const isBan = error._tag === "IpBanned"
          const reach = isBan ? "host" : Limiter.reach[error.dimension]
          const scope = reach === "tenant" && lane.tenant === undefined ? "app" : reach
          const length = isBan
            ? Math.min(Duration.toMillis(error.retryAfter), LONGEST_BAN)
            : Math.min(error.retryAfter === undefined ? SECOND : Duration.toMillis(error.retryAfter), LONGEST_PAUSE)
          const learnt = local.pause(lane, error)
          if (scope === "none" || !(length > 0) || isDown) return learnt
          const key = Pace.keysOf(prefix, lane).pauses[scope]
          return Effect.map(learnt, () => {
            hold(scope, key, redisNow() + length, isBan)
            fork(Effect.catchAll(pace.pause(key, isBan ? "ban" : "pause", length), fail))
          })
        })
    }
  })

/**
 * On a connection of its own. Where Redis is away nothing fails: the process paces itself.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Limiter } from "@effect-dingtalk/http"
 * import { RedisLimiter } from "@effect-dingtalk/store-redis"
 * import { Effect } from "effect"
 *
 * // For calls that are not made with `DingTalkHttp`, such as those of another library.
 * const lane = Limiter.lane({ host: "https://api.dingtalk.com", app: "dingquickstart", endpoint: "x", perSecond: 20 })
 * const paced = Effect.gen(function*() {
 *   const limiter = yield* RedisLimiter.make({ url: "redis://redis.internal:6379" })
 *   yield* limiter.take(lane, { before: Date.now() + 5000, again: false })
 * }).pipe(Effect.scoped)
 * console.log(Effect.isEffect(paced)) // true
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<Limiter.Service, never, Scope.Scope> =>
  Effect.flatMap(RedisConnection.make(options), (client) => makeWith(client, options))

/**
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
 * import { RedisLimiter } from "@effect-dingtalk/store-redis"
 * import { FetchHttpClient } from "@effect/platform"
 * import { Layer } from "effect"
 *
 * const dingtalk = DingTalkHttp.layer({ limiter: { app: "dingquickstart", perSecond: 40 } }).pipe(
 *   Layer.provide(RedisLimiter.layer({ url: "redis://redis.internal:6379" })),
 *   Layer.provideMerge(TokenService.layerConfig()),
 *   Layer.provide(HttpTransport.layerConfig()),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * console.log(Layer.isLayer(dingtalk)) // true
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<Limiter.Limiter> =>
  Layer.scoped(Limiter.Limiter, make(options))

/**
 * Options out of `Config`; what is left out comes from the environment.
 *
 * @since 0.1.0
 * @category models
 */
export type Settings = { readonly [K in keyof Options]?: Config.Config.Wrap<Options[K]> }

const fromSettings = (config: Settings): Config.Config<Options> =>
  Config.unwrap(
    {
      ...fromEnvironment(),
      ...config
    } as Config.Config.Wrap<Options>
  )

/**
 * From `REDIS_URL` and `DINGTALK_REDIS_PREFIX`, but for what you give.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { RedisConnection, RedisLimiter } from "@effect-dingtalk/store-redis"
 * import { Config, Layer } from "effect"
 *
 * const byDefault = RedisLimiter.layerConfig()
 * const ours = RedisLimiter.layerConfig({
 *   url: RedisConnection.config("CACHE_URL"),
 *   // processes that leave by one address share its bans
 *   prefix: Config.map(Config.string("EGRESS"), (address) => `dingtalk:${address}:`)
 * })
 * console.log(Layer.isLayer(byDefault), Layer.isLayer(ours)) // true true
 * ```
 */
export const layerConfig = (
  config: Settings = {}
): Layer.Layer<Limiter.Limiter, ConfigError> =>
  Layer.scoped(Limiter.Limiter, Effect.flatMap(fromSettings(config), make))

/**
 * On a client that you have, which stays yours.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { RedisLimiter } from "@effect-dingtalk/store-redis"
 * import { Effect, Layer } from "effect"
 * import { Cluster } from "ioredis"
 *
 * const cluster = Effect.acquireRelease(
 *   Effect.sync(() => new Cluster([{ host: "redis-1.internal", port: 6379 }], { lazyConnect: true })),
 *   (client) => Effect.sync(() => client.disconnect())
 * )
 * console.log(Layer.isLayer(RedisLimiter.layerClient(cluster))) // true
 * ```
 */
export const layerClient = <E = never, R = never>(
  client: Effect.Effect<RedisConnection.Client, E, R>,
  options: LimiterOptions = {}
): Layer.Layer<Limiter.Limiter, E, Exclude<R, Scope.Scope>> =>
  Layer.scoped(Limiter.Limiter, Effect.flatMap(client, (client) => makeWith(client, options)))
