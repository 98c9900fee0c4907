/**
 * The pace of the calls: as many a second as the platform permits one app on one API, and none while it has asked to be
 * left alone.
 *
 * @since 0.1.0
 */
import { IpBanned, RateLimited } from "@effect-dingtalk/core/DingTalkError"
import type { Dimension } from "@effect-dingtalk/core/ErrorCode"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * What the platform counts together: the calls of one app to one API. Make it once per endpoint, with `lane`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lane {
  /** the platform that is called; a ban of this machine's address holds for all of it */
  readonly host: string
  readonly app: string
  readonly endpoint: string
  /** what the platform counts, if that is not the endpoint's name: endpoints that share it share a pace */
  readonly api?: string | undefined
  /** `Infinity` does not pace, and still pauses when the platform asks for it */
  readonly perSecond: number
  /** the organisation, where one app calls for many of them */
  readonly tenant?: string | undefined
  /** all the names as one */
  readonly key: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Turn {
  /** milliseconds since the epoch: who cannot have their turn by then is refused at once */
  readonly before: number
  /** whether the platform has refused this call already: it goes ahead of those that have not been sent */
  readonly again: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Fails while nothing at all may be sent to the lane's host. Takes no turn. */
  readonly check: (lane: Lane) => Effect.Effect<void, IpBanned>
  /**
   * Waits for a turn, and says for how many milliseconds it did. Whoever is interrupted meanwhile, or is refused, has
   * taken no turn.
   */
  readonly take: (lane: Lane, turn: Turn) => Effect.Effect<number, IpBanned | RateLimited>
  /** What an answer of the platform teaches: who has to wait, and for how long. */
  readonly pause: (lane: Lane, error: IpBanned | RateLimited) => Effect.Effect<void>
  /**
   * `check` and `take` in one, if there is a turn right now for whoever has no need to wait; `false` if not, which takes
   * none. `now` is in milliseconds since the epoch. Leave it out where a turn is not to be had without an Effect, such
   * as from a database: it only saves time.
   */
  readonly unsafeTake?: ((lane: Lane, now: number) => boolean) | undefined
}

/**
 * Provide one to let several apps of a process share what they learn of bans, or to share a pace among processes.
 * Without it, each `DingTalkHttp.layer` makes its own in memory.
 *
 * @since 0.1.0
 * @category tags
 */
export class Limiter extends Context.Tag("@effect-dingtalk/http/Limiter")<Limiter, Service>() {}

/**
 * The pace of one app.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** calls a second to each API: 20 unless it says otherwise, as in the standard edition; paid ones have 40 or 60 */
  readonly perSecond?: number | undefined
  /** other paces, by the endpoint's name, such as `{ "contact.getUser": 40 }`; `Infinity` for none */
  readonly endpoints?: { readonly [endpoint: string]: number } | undefined
  /** names the app to a `Limiter` that is shared; its Client ID unless it says otherwise */
  readonly app?: string | undefined
}

type Names = Omit<Lane, "key">

const appKey = (lane: Names) => `${lane.host} ${lane.app}`

const tenantKey = (lane: Names) => lane.tenant === undefined ? appKey(lane) : `${appKey(lane)} of ${lane.tenant}`

/**
 * @since 0.1.0
 * @category constructors
 */
export const lane = (options: Omit<Lane, "key">): Lane => ({
  ...options,
  key: `${tenantKey(options)} ${options.api ?? options.endpoint}`
})

// The platform counts by its own calendar seconds. No second of any clock holds more calls than are sent within one
// second and this: so much may the way of one call be faster than that of another.
const SLACK = 25
const SECOND = 1000
// No throttle of the platform is documented to last longer: after that, one call may ask.
const LONGEST_PAUSE = 60 * SECOND
// A clock that was set back.
const STEP = SECOND

interface Waiter {
  readonly lane: Lane
  readonly before: number
  /** what it slept for last */
  due: number
  wake: (() => void) | undefined
  refusal: IpBanned | RateLimited | undefined
}

interface State {
  readonly lane: Lane
  readonly window: number
  readonly spacing: number
  /** when the last calls were sent, by groups of `group`, oldest at `oldest`; empty for any number in a window */
  readonly sent: Float64Array
  /** 1, but for paces of so many calls that the time of each is not kept: then that of a group's last */
  readonly group: number
  oldest: number
  /** how many of the group at `oldest` have gone, if it has been begun */
  begun: number
  last: number
  /** when the next one of those that wait may go: one after the other, not all of a window at once */
  next: number
  readonly first: Set<Waiter>
  readonly rest: Set<Waiter>
}

interface Pause {
  readonly from: number
  readonly until: number
  readonly ban: boolean
}

// So many times are kept, 32 kB. A faster pace keeps one for a group of calls, and loses less than a thousandth by that.
const MOST_SLOTS = 4096

const stateOf = (lane: Lane): State => {
  const paced = Number.isFinite(lane.perSecond)
  const calls = paced ? Math.max(1, Math.floor(lane.perSecond)) : 0
  const group = Math.max(1, Math.ceil(calls / MOST_SLOTS))
  const slots = Math.floor(calls / group)
  const limit = slots * group
  const window = paced ? (limit / lane.perSecond) * SECOND + SLACK : 0
  return {
    lane,
    window,
    spacing: paced ? window / limit : 0,
    sent: new Float64Array(slots).fill(Number.NEGATIVE_INFINITY),
    group,
    oldest: 0,
    begun: 0,
    last: Number.NEGATIVE_INFINITY,
    next: Number.NEGATIVE_INFINITY,
    first: new Set(),
    rest: new Set()
  }
}

const headOf = (state: State): Waiter | undefined =>
  (state.first.size > 0 ? state.first : state.rest).values().next().value

const isIdle = (state: State, now: number): boolean =>
  state.first.size === 0 && state.rest.size === 0 && state.last + state.window <= now

const setBack = (state: State): void => {
  state.sent.fill(Number.NEGATIVE_INFINITY)
  state.begun = 0
  state.last = Number.NEGATIVE_INFINITY
  state.next = Number.NEGATIVE_INFINITY
}

/** When the window has room for one more: with the first of a group there is, for all of it. */
const roomAt = (state: State): number =>
  state.sent.length === 0 || state.begun > 0
    ? Number.NEGATIVE_INFINITY
    : state.sent[state.oldest]! + state.window

const record = (state: State, now: number, at: number): void => {
  const slots = state.sent.length
  if (slots > 0) {
    state.sent[state.oldest] = now
    if (state.group === 1 || ++state.begun === state.group) {
      state.begun = 0
      state.oldest = state.oldest + 1 === slots ? 0 : state.oldest + 1
    }
  }
  state.last = now
  // From when it was due: the lateness of timers would add up.
  state.next = at + state.spacing
}

/** When somebody goes who has `ahead` others before them, if nobody gives up. */
const turnAt = (state: State, ahead: number, paused: number, now: number): number => {
  const { begun, group, oldest, sent, spacing, window } = state
  let at = Math.max(state.next - spacing, now - spacing, paused - spacing)
  // Group by group: its first waits for the window, the others for the spacing alone.
  let left = ahead + 1
  for (let i = 0; i < sent.length; i++) {
    const isBegun = i === 0 && begun > 0
    const members = Math.min(left, isBegun ? group - begun : group)
    const first = isBegun ? at + spacing : Math.max(at + spacing, sent[(oldest + i) % sent.length]! + window)
    at = first + (members - 1) * spacing
    left -= members
    if (left === 0) return at
  }
  // Whoever comes later in the queue than the window is long is held by the spacing alone.
  return at + left * spacing
}

/**
 * How far a throttle of each dimension reaches: one API of an app, an organisation of an app, an app, a whole host. For
 * limiters that are shared otherwise.
 *
 * @since 0.1.0
 * @category constants
 */
export const reach: { readonly [K in Dimension]: "lane" | "tenant" | "app" | "host" | "none" } = {
  AppAndApi: "lane",
  Api: "lane",
  Unknown: "lane",
  Server: "host",
  Org: "tenant",
  OrgAndApp: "tenant",
  SuiteAndOrg: "tenant",
  Suite: "app",
  // Of one webhook, and of one recipient: the others of the same API may go on.
  Robot: "none",
  WorkNotice: "none"
}

const KEYS = {
  lane: (lane: Lane) => lane.key,
  tenant: tenantKey,
  app: appKey,
  host: (lane: Lane) => lane.host
}

const refuse = (lane: Lane, wait: number): RateLimited => {
  const retryAfter = Duration.millis(Math.ceil(wait))
  return new RateLimited({
    endpoint: lane.endpoint,
    dimension: "AppAndApi",
    retryAfter,
    advice: `the calls that wait for their turn would outlast this one's deadline; nothing was sent, try again in ${
      Math.ceil(wait / SECOND)
    } s`
  })
}

const banned = (lane: Lane, wait: number): IpBanned =>
  new IpBanned({ endpoint: lane.endpoint, retryAfter: Duration.millis(Math.ceil(wait)) })

const NO_WAIT = Effect.succeed(0)

/**
 * In the memory of this process.
 *
 * At most `perSecond` calls are sent within any 1,025 ms, so that no second of the platform's own clock sees more. As
 * long as there is room a call goes at once; those that wait go one after the other, evenly.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service> = Effect.sync(() => {
  const states = new Map<string, State>()
  const pauses = new Map<string, Pause>()
  let sweepAt = 64

  const pauseOf = (key: string, now: number): Pause | undefined => {
    const pause = pauses.get(key)
    if (pause === undefined) return undefined
    if (now < pause.until && now >= pause.from - STEP) return pause
    pauses.delete(key)
    return undefined
  }

  const sweep = (now: number) => {
    for (const [key, state] of states) if (isIdle(state, now)) states.delete(key)
    for (const key of pauses.keys()) pauseOf(key, now)
    sweepAt = states.size * 2 + 64
  }

  const find = (lane: Lane, now: number): State => {
    let state = states.get(lane.key)
    if (state === undefined) {
      if (states.size >= sweepAt) sweep(now)
      states.set(lane.key, state = stateOf(lane))
    }
    return state
  }

  const pausedUntil = (lane: Lane, now: number): number =>
    pauses.size === 0
      ? Number.NEGATIVE_INFINITY
      : Math.max(
        pauseOf(lane.key, now)?.until ?? Number.NEGATIVE_INFINITY,
        pauseOf(tenantKey(lane), now)?.until ?? Number.NEGATIVE_INFINITY,
        pauseOf(appKey(lane), now)?.until ?? Number.NEGATIVE_INFINITY,
        pauseOf(lane.host, now)?.until ?? Number.NEGATIVE_INFINITY
      )

  const banOf = (lane: Lane, now: number): IpBanned | undefined => {
    if (pauses.size === 0) return undefined
    const pause = pauseOf(lane.host, now)
    return pause?.ban === true ? banned(lane, pause.until - now) : undefined
  }

  const wakeHead = (state: State) => headOf(state)?.wake?.()

  const leave = (state: State, waiter: Waiter) => {
    const wasHead = headOf(state) === waiter
    if ((state.first.delete(waiter) || state.rest.delete(waiter)) && wasHead) wakeHead(state)
  }

  /** Ends when `isDue` says so; it is asked at once, and whenever somebody else's turn is over. */
  const parked = (waiter: Waiter, isDue: () => boolean): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      const wake = () => {
        if (!isDue()) return
        waiter.wake = undefined
        resume(Effect.void)
      }
      waiter.wake = wake
      wake()
      return Effect.sync(() => {
        // Whoever lost a race may be cleared away after the next wait has begun.
        if (waiter.wake === wake) waiter.wake = undefined
      })
    })

  const wait = (state: State, waiter: Waiter, clock: Clock.Clock): Effect.Effect<void, IpBanned | RateLimited> => {
    const isNext = () => waiter.refusal !== undefined || headOf(state) === waiter
    const isRefused = () => waiter.refusal !== undefined
    const turn: Effect.Effect<void, IpBanned | RateLimited> = Effect.suspend(() => {
      if (waiter.refusal !== undefined) return Effect.fail(waiter.refusal)
      if (headOf(state) !== waiter) return Effect.zipRight(parked(waiter, isNext), turn)
      const now = clock.unsafeCurrentTimeMillis()
      if (now < state.last - STEP) setBack(state)
      const at = Math.max(state.next, roomAt(state), pausedUntil(waiter.lane, now))
      if (at > now) {
        waiter.due = at
        // Only whoever is next looks at the clock.
        return Effect.zipRight(
          Effect.raceFirst(clock.sleep(Duration.millis(Math.ceil(at - now))), parked(waiter, isRefused)),
          turn
        )
      }
      // A little lateness is made up for by the next one, a standstill is not.
      const due = Math.max(at, waiter.due)
      record(state, now, due === Number.NEGATIVE_INFINITY ? now : Math.max(due, now - state.spacing))
      leave(state, waiter)
      return Effect.void
    })
    return Effect.onExit(turn, () => Effect.sync(() => leave(state, waiter)))
  }

  /** Those that cannot have their turn in time any more are told so now. */
  const review = (state: State, now: number) => {
    let ahead = 0
    const paused = pausedUntil(state.lane, now)
    const refused: Array<Waiter> = []
    for (const waiter of [...state.first, ...state.rest]) {
      const ban = banOf(waiter.lane, now)
      const at = turnAt(state, ahead, paused, now)
      if (ban === undefined && at <= waiter.before) {
        ahead++
        continue
      }
      waiter.refusal = ban ?? refuse(waiter.lane, at - now)
      refused.push(waiter)
    }
    for (const waiter of refused) {
      leave(state, waiter)
      waiter.wake?.()
    }
  }

  const takeNow = (lane: Lane, state: State, now: number): boolean => {
    if (state.first.size > 0 || state.rest.size > 0 || roomAt(state) > now) return false
    if (pausedUntil(lane, now) > now) return false
    record(state, now, now)
    return true
  }

  return {
    unsafeTake: (lane, now) => {
      const state = find(lane, now)
      if (now < state.last - STEP) setBack(state)
      return takeNow(lane, state, now)
    },

    check: (lane) =>
      Effect.suspend(() => {
        if (pauses.size === 0) return Effect.void
        return Effect.clockWith((clock) => {
          const ban = banOf(lane, clock.unsafeCurrentTimeMillis())
          return ban === undefined ? Effect.void : Effect.fail(ban)
        })
      }),

    take: (lane, { again, before }) =>
      Effect.clockWith((clock): Effect.Effect<number, IpBanned | RateLimited> => {
        const now = clock.unsafeCurrentTimeMillis()
        const state = find(lane, now)
        if (now < state.last - STEP) setBack(state)
        const ban = banOf(lane, now)
        if (ban !== undefined) return Effect.fail(ban)
        if (takeNow(lane, state, now)) return NO_WAIT
        const paused = pausedUntil(lane, now)
        const at = turnAt(state, again ? state.first.size : state.first.size + state.rest.size, paused, now)
        if (at > before) return Effect.fail(refuse(lane, at - now))
        const waiter: Waiter = { lane, before, due: Number.NEGATIVE_INFINITY, wake: undefined, refusal: undefined }
        const queue = again ? state.first : state.rest
        queue.add(waiter)
        return Effect.map(wait(state, waiter, clock), () => Math.max(0, clock.unsafeCurrentTimeMillis() - now))
      }),

    pause: (lane, error) =>
      Effect.clockWith((clock) => {
        const now = clock.unsafeCurrentTimeMillis()
        const ban = error._tag === "IpBanned"
        const scope = ban ? "host" : reach[error.dimension]
        const length = ban
          ? Duration.toMillis(error.retryAfter)
          : Math.min(error.retryAfter === undefined ? SECOND : Duration.toMillis(error.retryAfter), LONGEST_PAUSE)
        if (scope === "none" || length <= 0) return Effect.void
        const key = KEYS[scope](lane)
        const known = pauseOf(key, now)
        const until = now + length
        pauses.set(key, {
          from: now,
          until: Math.max(until, known?.until ?? until),
          ban: ban || known?.ban === true
        })
        for (const state of states.values()) if (KEYS[scope](state.lane) === key) review(state, now)
        return Effect.void
      })
  }
})

/**
 * One for all the apps of a process, in memory.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { Contact } from "@effect-dingtalk/core"
 * import { Emulator, EmulatorHttpClient } from "@effect-dingtalk/emulator"
 * import { DingTalkHttp, HttpTransport, Limiter } from "@effect-dingtalk/http"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const app = (clientId: string, clientSecret: string) =>
 *   DingTalkHttp.layer({ limiter: { app: clientId, perSecond: 40 } }).pipe(
 *     Layer.provide(TokenService.layer({ clientId, clientSecret: Redacted.make(clientSecret) })),
 *     // The same value for every app: what one learns of a ban, the others know.
 *     Layer.provide(Limiter.layer),
 *     Layer.provide(HttpTransport.layer()),
 *     Layer.provide(EmulatorHttpClient.layer),
 *     Layer.provide(Emulator.layer())
 *   )
 *
 * Contact.getUser({ userid: "zhangsan" }).pipe(
 *   Effect.provide(app("dingquickstart", "quickstart-secret")),
 *   Effect.runPromise
 * ).then((user) => console.log(user.name)) // John
 * ```
 */
export const layer: Layer.Layer<Limiter> = Layer.effect(Limiter, make)
