/**
 * One pace for all processes: together they send no more than the platform permits one app on one API, and what one
 * learns of throttles and bans, all heed.
 *
 * Redis gives places in a lane's queue, by its own clock. A process holds no more than it needs for the next tenth of a
 * second, in the order in which processes ask; so none starves, and whoever gives up leaves at most these, which go to
 * the next who asks. Every call also passes this process's own limiter: while Redis is away that one paces alone.
 *
 * @since 0.1.0
 */
import { IpBanned, RateLimited } from "@effect-dingtalk/core/DingTalkError"
import type { Dimension } from "@effect-dingtalk/core/ErrorCode"
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
import { randomBytes } from "node:crypto"
import * as Command from "./internal/command.js"
import * as Pace from "./internal/pace.js"
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

const PREFIX = "dingtalk:"
const SECOND = 1000
// As in memory: so much may the way of one call be faster than that of another. And what two clocks and timers differ by.
const SLACK = 25 + 10
/** Later than that, a call tells when it really went. */
const LATE = 5
/** A place that was slept through is given back. */
const MISSED = 50
/** So far ahead places are given. */
const HORIZON = 10 * SECOND
/** So much of the queue one process holds. */
const AHEAD = 100
/** So often whoever waits asks whether there is a pause. */
const HEARTBEAT = 100
// As in memory.
const LONGEST_PAUSE = 60 * SECOND
const LONGEST_BAN = 86_400 * SECOND

const PAUSES: { readonly [K in Dimension]: "lane" | "app" | "host" | "none" } = {
  AppAndApi: "lane",
  Api: "lane",
  Unknown: "lane",
  Server: "host",
  Org: "app",
  OrgAndApp: "app",
  SuiteAndOrg: "app",
  Suite: "app",
  Robot: "none",
  WorkNotice: "none"
}

interface Place {
  readonly id: string
  /** by the clock of Redis; it may be put off when those before it went late */
  at: number
  /** by ours */
  readonly heardAt: number
  readonly isNow: boolean
}

/** `undefined`: the process's own limiter decides */
type Outcome = Place | RateLimited | undefined

interface Waiter {
  /** by the monotonic clock of this process */
  readonly before: number
  outcome: Outcome
  readonly resume: (effect: Effect.Effect<Outcome>) => void
}

interface Line {
  readonly lane: Limiter.Lane
  readonly keys: ReadonlyArray<string>
  /** how many calls a window takes; 0 for any number */
  readonly limit: number
  readonly window: number
  readonly spacing: number
  readonly ahead: number
  readonly first: Set<Waiter>
  readonly rest: Set<Waiter>
  places: Array<Place>
  returned: Array<string>
  moved: Array<string>
  /** when Redis last answered, by the clock of this process */
  heardAt: number
  /** when one more could go, by the clock of Redis */
  soonest: number
  paused: number
  others: ReadonlyArray<number>
  isReported: boolean
  isAsking: boolean
  isAsked: boolean
  isDriven: boolean
  isSignalled: boolean
  wake: (() => void) | undefined
}

const sizeOf = (line: Line): number => line.first.size + line.rest.size

const headOf = (line: Line): Waiter | undefined => (line.first.size > 0 ? line.first : line.rest).values().next().value

const refuse = (lane: Limiter.Lane, wait: number): RateLimited =>
  new RateLimited({
    endpoint: lane.endpoint,
    dimension: "AppAndApi",
    retryAfter: Duration.millis(Math.ceil(wait)),
    advice: `the calls that wait for their turn would outlast this one's deadline; nothing was sent, try again in ${
      Math.ceil(wait / SECOND)
    } s`
  })

type Reply = readonly [
  now: string,
  soonest: string,
  pauses: readonly [lane: number, app: number, host: number],
  ban: number,
  places: ReadonlyArray<string>,
  others: ReadonlyArray<number>,
  held: ReadonlyArray<string>
]

interface Answer {
  readonly reply: Reply
  readonly held: ReadonlyArray<Place>
}

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
    const timeout = Duration.decode(options.timeout ?? "500 millis")
    const coolDown = Duration.decode(options.coolDown ?? "1 second")
    const me = randomBytes(9).toString("base64url")
    let serial = 0

    const lines = new Map<string, Line>()
    /** when anything was heard of a host */
    const heard = new Map<string, number>()
    let isDown = false

    const monotonic = () => Number(clock.unsafeCurrentTimeNanos()) / 1e6

    // The clock of Redis is ahead of ours by what lies between these two.
    let least = Number.NEGATIVE_INFINITY
    let most = Number.POSITIVE_INFINITY
    let comparedAt = 0
    const compare = (redis: number, sentAt: number, heardAt: number) => {
      // Two clocks drift apart, by far less than that.
      const drift = (heardAt - comparedAt) * 0.0005
      comparedAt = heardAt
      least = Math.max(least - drift, redis - heardAt)
      most = Math.min(most + drift, redis - sentAt)
      if (least > most) {
        least = redis - heardAt
        most = redis - sentAt
      }
    }
    const offset = () => (least + most) / 2
    const redisNow = () => monotonic() + offset()

    const keyOf = (lane: Limiter.Lane, scope: "lane" | "app" | "host") =>
      `${prefix}pause:{${lane.host}}${scope === "host" ? "" : ` ${lane.app}`}${
        scope === "lane" ? ` ${lane.endpoint}` : ""
      } ${scope}`

    const lineOf = (lane: Limiter.Lane): Line => {
      const isPaced = Number.isFinite(lane.perSecond)
      const limit = isPaced ? Math.max(1, Math.floor(lane.perSecond)) : 0
      const window = isPaced ? (limit / lane.perSecond) * SECOND + SLACK : 0
      const spacing = isPaced ? window / limit : 0
      const name = `${prefix}pace:{${lane.host}} ${lane.app} ${lane.endpoint}`
      return {
        lane,
        keys: [
          `${name} places`,
          `${name} freed`,
          `${name} waiting`,
          keyOf(lane, "lane"),
          keyOf(lane, "app"),
          keyOf(lane, "host")
        ],
        limit,
        window,
        spacing,
        ahead: isPaced ? Math.max(1, Math.ceil(AHEAD / spacing)) : 0,
        first: new Set(),
        rest: new Set(),
        places: [],
        returned: [],
        moved: [],
        heardAt: Number.NEGATIVE_INFINITY,
        soonest: Number.NEGATIVE_INFINITY,
        paused: Number.NEGATIVE_INFINITY,
        others: [],
        isReported: false,
        isAsking: false,
        isAsked: false,
        isDriven: false,
        isSignalled: false,
        wake: undefined
      }
    }

    const end = (line: Line, waiter: Waiter, outcome: Outcome) => {
      line.first.delete(waiter)
      line.rest.delete(waiter)
      waiter.outcome = outcome
      waiter.resume(Effect.succeed(outcome))
    }

    const release = (line: Line) => {
      for (const waiter of [...line.first, ...line.rest]) end(line, waiter, undefined)
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

    const probe = lineOf(Limiter.lane({ host: "probe", app: me, endpoint: "", perSecond: 1 }))

    const request = (line: Line, wanted: number): Effect.Effect<Answer, string> =>
      Effect.suspend(() => {
        const { moved, returned } = line
        const held = [...line.places]
        line.returned = []
        line.moved = []
        let sentAt = 0
        return Command.run(client, Pace.ASK, line.keys, [
          line.limit,
          line.window,
          line.spacing,
          HORIZON,
          me,
          wanted,
          line.ahead - line.places.length,
          ++serial,
          returned.length,
          held.length,
          ...returned,
          ...held.map(({ id }) => id),
          ...moved
          // Not before there is a connection: the clocks are compared by it.
        ], () => sentAt = monotonic()).pipe(
          Effect.map((reply) => {
            const known = reply as Reply
            compare(Number(known[0]), sentAt, monotonic())
            return { reply: known, held }
          }),
          Effect.timeoutFail({ duration: timeout, onTimeout: () => `no answer within ${Duration.format(timeout)}` })
        )
      })

    const fail = (description: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (isDown) return Effect.void
        isDown = true
        for (const line of lines.values()) {
          release(line)
          line.places = []
        }
        lines.clear()
        fork(retry)
        return Effect.annotateLogs(
          Effect.logWarning("DingTalk limiter: Redis failed; this process paces itself meanwhile"),
          { cause: description }
        )
      })

    const retry: Effect.Effect<void> = Effect.suspend(() =>
      Effect.sleep(coolDown).pipe(
        Effect.zipRight(Effect.either(request(probe, 1))),
        Effect.flatMap((answer) => {
          if (answer._tag === "Left") return retry
          isDown = false
          return Effect.logInfo("DingTalk limiter: Redis is back, and the pace is shared again")
        })
      )
    )

    /** When somebody goes who has `before` others of this process before them, by the clock of Redis. */
    const turnAt = (line: Line, before: number, now: number): number => {
      const place = line.places[before]
      if (place !== undefined) return place.at
      const own = before - line.places.length + 1
      // Processes take turns: of each other one, no more go first than of this one.
      let ahead = own - 1
      for (const number of line.others) ahead += Math.min(number, own)
      return Math.max(line.soonest, line.paused, now) + ahead * line.spacing
    }

    /** Those that cannot have their turn in time are told so now. */
    const review = (line: Line) => {
      const now = redisNow()
      let ahead = 0
      for (const waiter of [...line.first, ...line.rest]) {
        const wait = turnAt(line, ahead, now) - now
        if (monotonic() + wait > waiter.before) end(line, waiter, refuse(line.lane, wait))
        else ahead++
      }
    }

    const giveBack = (line: Line, isGiven: (place: Place) => boolean) => {
      const kept: Array<Place> = []
      for (const place of line.places) {
        if (isGiven(place)) line.returned.push(place.id)
        else kept.push(place)
      }
      line.places = kept
    }

    const pauseLine = (line: Line, until: number) => {
      if (until <= line.paused) return
      line.paused = until
      giveBack(line, (place) => place.at < until)
    }

    /** What other processes have learnt, this one's own limiter heeds too. */
    const adopt = (line: Line, [lane, app, host]: Reply[2], isBan: boolean): Effect.Effect<void> => {
      const learn = (dimension: Dimension, wait: number) =>
        wait <= 0
          ? Effect.void
          : local.pause(
            line.lane,
            new RateLimited({ endpoint: line.lane.endpoint, dimension, retryAfter: Duration.millis(wait) })
          )
      return Effect.zipRight(
        Effect.zipRight(learn("AppAndApi", lane), learn("OrgAndApp", app)),
        isBan
          ? local.pause(line.lane, new IpBanned({ endpoint: line.lane.endpoint, retryAfter: Duration.millis(host) }))
          : learn("Server", host)
      )
    }

    const hear = (line: Line, { held, reply }: Answer): Effect.Effect<void> =>
      Effect.suspend(() => {
        const [now, soonest, pauses, ban, places, others] = reply
        const heardAt = monotonic()
        const pause = Math.max(...pauses)
        line.heardAt = heardAt
        line.soonest = Number(soonest)
        line.others = others
        heard.set(line.lane.host, heardAt)
        for (const [i, place] of held.entries()) place.at = Number(reply[6][i] || Number.POSITIVE_INFINITY)
        line.places = line.places.filter(({ at }) => at < Number.POSITIVE_INFINITY)
        for (let i = 0; i < places.length; i += 2) {
          const at = Number(places[i + 1])
          line.places.push({ id: places[i]!, at, heardAt, isNow: at <= Number(now) })
        }
        line.places.sort((a, b) => a.at - b.at)
        giveBack(line, (place) => place.at < line.paused)
        if (pause > 0) pauseLine(line, Number(now) + pause)
        return Effect.map(pause > 0 ? adopt(line, pauses, ban === 1) : Effect.void, () => {
          if (line.limit === 0 || ban === 1) release(line)
          else review(line)
        })
      })

    const ask = (line: Line): Effect.Effect<void> =>
      Effect.suspend(() => {
        line.isAsking = true
        line.isAsked = true
        const wanted = Math.max(0, sizeOf(line) - line.places.length)
        return request(line, wanted).pipe(
          Effect.tap((answer) => {
            line.isReported = wanted > answer.reply[4].length / 2
            return hear(line, answer)
          }),
          Effect.catchAll(fail),
          Effect.ensuring(Effect.sync(() => {
            line.isAsking = false
            signal(line)
          }))
        )
      })

    /** Runs as long as anybody waits, or Redis has to be told something. */
    const drive = (line: Line): Effect.Effect<void> =>
      Effect.gen(function*() {
        for (;;) {
          line.isSignalled = false
          if (isDown) {
            release(line)
            break
          }
          const at = monotonic()
          const now = at + offset()
          while (line.places.length > 0 && line.places[0]!.at <= now && sizeOf(line) > 0) {
            const place = line.places.shift()!
            line.isAsked = false
            if (at - Math.max(place.at - offset(), place.heardAt) > MISSED) line.returned.push(place.id)
            else end(line, headOf(line)!, place)
          }
          const waiting = sizeOf(line)
          while (line.places.length > waiting) line.returned.push(line.places.pop()!.id)
          const wanted = waiting - line.places.length
          const hasNews = line.returned.length > 0 || line.moved.length > 0 || (line.isReported && wanted === 0)
          const nextBeat = line.heardAt + HEARTBEAT
          if (
            !line.isAsking && (
              hasNews ||
              (waiting > 0 && at >= nextBeat) ||
              (wanted > 0 && !line.isAsked && (line.places.length < line.ahead || line.limit === 0))
            )
          ) {
            fork(ask(line))
            line.isAsking = true
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
          release(line)
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

    const find = (lane: Limiter.Lane): Line => {
      let line = lines.get(lane.key)
      if (line === undefined) lines.set(lane.key, line = lineOf(lane))
      return line
    }

    /** Waits until Redis gives a place, or leaves it to the process's own limiter. */
    const wait = (line: Line, waiter: Waiter, again: boolean): Effect.Effect<Outcome> =>
      Effect.async<Outcome>((resume) => {
        Object.assign(waiter, { resume })
        ;(again ? line.first : line.rest).add(waiter)
        line.isAsked = false
        signal(line)
      })

    const waiterOf = (before: number): Waiter => ({ before, outcome: undefined, resume: () => {} })

    /** Leaves the queue, and the place if there was one. */
    const leave = (line: Line, waiter: Waiter) => {
      line.first.delete(waiter)
      line.rest.delete(waiter)
      const { outcome } = waiter
      if (outcome !== undefined && !(outcome instanceof RateLimited)) line.returned.push(outcome.id)
      signal(line)
    }

    const alone = (lane: Limiter.Lane, turn: Limiter.Turn) => {
      unshared.unsafeUpdate(1, [])
      return local.take(lane, turn)
    }

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isDown = true
        for (const line of lines.values()) release(line)
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
          if (sizeOf(line) > 0 && start - line.heardAt < 3 * HEARTBEAT && line.limit > 0) {
            const now = redisNow()
            const wait = turnAt(line, turn.again ? line.first.size : sizeOf(line), now) - now
            if (start + wait > before) return Effect.fail(refuse(lane, wait))
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
                  const went = monotonic() + most
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
          const scope = isBan ? "host" : PAUSES[error.dimension]
          const length = isBan
            ? Math.min(Duration.toMillis(error.retryAfter), LONGEST_BAN)
            : Math.min(error.retryAfter === undefined ? SECOND : Duration.toMillis(error.retryAfter), LONGEST_PAUSE)
          const learnt = local.pause(lane, error)
          if (scope === "none" || !(length > 0) || isDown) return learnt
          const key = keyOf(lane, scope)
          return Effect.map(learnt, () => {
            for (const line of lines.values()) {
              const isMeant = line.lane.host === lane.host &&
                (scope === "host" || line.lane.app === lane.app) &&
                (scope !== "lane" || line.lane.endpoint === lane.endpoint)
              if (!isMeant) continue
              if (isBan) release(line)
              else if (Number.isFinite(offset())) {
                pauseLine(line, redisNow() + length)
                review(line)
              }
              signal(line)
            }
            fork(
              Command.run(client, Pace.PAUSE, [key], [isBan ? "ban" : "pause", Math.ceil(length)]).pipe(
                Effect.timeoutFail({
                  duration: timeout,
                  onTimeout: () => `no answer within ${Duration.format(timeout)}`
                }),
                Effect.catchAll(fail)
              )
            )
          })
        })
    }
  })

/**
 * On a connection of its own. Where Redis is away nothing fails: the process paces itself.
 *
 * @since 0.1.0
 * @category constructors
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
 * From `REDIS_URL` and `DINGTALK_REDIS_PREFIX`, or from a `Config` of your own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options> = {
    url: Config.withDefault(RedisConnection.config(), undefined),
    prefix: Config.withDefault(Config.string("DINGTALK_REDIS_PREFIX"), PREFIX)
  }
): Layer.Layer<Limiter.Limiter, ConfigError> =>
  Layer.scoped(Limiter.Limiter, Effect.flatMap(Config.unwrap(config), make))

/**
 * On a client that you have, which stays yours.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = <E = never, R = never>(
  client: Effect.Effect<RedisConnection.Client, E, R>,
  options: LimiterOptions = {}
): Layer.Layer<Limiter.Limiter, E, Exclude<R, Scope.Scope>> =>
  Layer.scoped(Limiter.Limiter, Effect.flatMap(client, (client) => makeWith(client, options)))
