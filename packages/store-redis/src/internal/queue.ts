/**
 * The calls of one lane that wait in this process, and the places that Redis has given it. `now` is by its clock.
 */
import { RateLimited } from "@effect-dingtalk/core/DingTalkError"
import type * as Limiter from "@effect-dingtalk/http/Limiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const SECOND = 1000
// As in memory: so much may the way of one call be faster than that of another. And what two clocks and timers differ by.
const SLACK = 25 + 10
/** So much of the queue one process holds. */
const AHEAD = 100
/** A place that was slept through is given back. */
const MISSED = 50

/** @internal */
export interface Place {
  readonly id: string
  /** by the clock of Redis; it may be put off when those before it went late */
  at: number
  /** by ours */
  readonly heardAt: number
  readonly isNow: boolean
}

/**
 * `undefined`: the process's own limiter decides.
 *
 * @internal
 */
export type Outcome = Place | RateLimited | undefined

/** @internal */
export interface Waiter {
  /** by the monotonic clock of this process */
  readonly before: number
  outcome: Outcome
  resume: (effect: Effect.Effect<Outcome>) => void
}

/** @internal */
export interface Queue {
  readonly lane: Limiter.Lane
  /** how many calls a window takes; 0 for any number */
  readonly limit: number
  readonly window: number
  readonly spacing: number
  readonly ahead: number
  readonly first: Set<Waiter>
  readonly rest: Set<Waiter>
  places: Array<Place>
  /** what Redis is to be told: places that are free, and those that were late */
  returned: Array<string>
  moved: Array<string>
  /** when one more could go, by the clock of Redis */
  soonest: number
  paused: number
  /** how many wait in each other process */
  others: ReadonlyArray<number>
}

/** @internal */
export const make = (lane: Limiter.Lane): Queue => {
  const isPaced = Number.isFinite(lane.perSecond)
  const limit = isPaced ? Math.max(1, Math.floor(lane.perSecond)) : 0
  const window = isPaced ? (limit / lane.perSecond) * SECOND + SLACK : 0
  const spacing = isPaced ? window / limit : 0
  return {
    lane,
    limit,
    window,
    spacing,
    ahead: isPaced ? Math.max(1, Math.ceil(AHEAD / spacing)) : 0,
    first: new Set(),
    rest: new Set(),
    places: [],
    returned: [],
    moved: [],
    soonest: Number.NEGATIVE_INFINITY,
    paused: Number.NEGATIVE_INFINITY,
    others: []
  }
}

/** @internal */
export const sizeOf = (queue: Queue): number => queue.first.size + queue.rest.size

const headOf = (queue: Queue): Waiter | undefined =>
  (queue.first.size > 0 ? queue.first : queue.rest).values().next().value

/** @internal */
export const refuse = (lane: Limiter.Lane, wait: number): RateLimited =>
  new RateLimited({
    endpoint: lane.endpoint,
    dimension: "AppAndApi",
    retryAfter: Duration.millis(Math.ceil(wait)),
    advice: `the calls that wait for their turn would outlast this one's deadline; nothing was sent, try again in ${
      Math.ceil(wait / SECOND)
    } s`
  })

const end = (queue: Queue, waiter: Waiter, outcome: Outcome): void => {
  queue.first.delete(waiter)
  queue.rest.delete(waiter)
  waiter.outcome = outcome
  waiter.resume(Effect.succeed(outcome))
}

/** @internal */
export const release = (queue: Queue): void => {
  for (const waiter of [...queue.first, ...queue.rest]) end(queue, waiter, undefined)
}

/**
 * Leaves the queue, and the place if there was one.
 *
 * @internal
 */
export const leave = (queue: Queue, waiter: Waiter): void => {
  queue.first.delete(waiter)
  queue.rest.delete(waiter)
  const { outcome } = waiter
  if (outcome !== undefined && !(outcome instanceof RateLimited)) queue.returned.push(outcome.id)
}

/**
 * When somebody goes who has `before` others of this process before them.
 *
 * @internal
 */
export const turnAt = (queue: Queue, before: number, now: number): number => {
  const place = queue.places[before]
  if (place !== undefined) return place.at
  const own = before - queue.places.length + 1
  // Processes take turns: of each other one, no more go first than of this one.
  let ahead = own - 1
  for (const number of queue.others) ahead += Math.min(number, own)
  return Math.max(queue.soonest, queue.paused, now) + ahead * queue.spacing
}

/**
 * Those that cannot have their turn in time are told so now.
 *
 * @internal
 */
export const review = (queue: Queue, now: number, offset: number): void => {
  let ahead = 0
  for (const waiter of [...queue.first, ...queue.rest]) {
    const at = turnAt(queue, ahead, now)
    if (at - offset > waiter.before) end(queue, waiter, refuse(queue.lane, at - now))
    else ahead++
  }
}

const giveBack = (queue: Queue): void => {
  const kept: Array<Place> = []
  for (const place of queue.places) {
    if (place.at < queue.paused) queue.returned.push(place.id)
    else kept.push(place)
  }
  queue.places = kept
}

/** @internal */
export const pause = (queue: Queue, until: number): void => {
  if (until <= queue.paused) return
  queue.paused = until
  giveBack(queue)
}

/**
 * Those that were held may have been put off, or be gone.
 *
 * @internal
 */
export const add = (queue: Queue, given: ReadonlyArray<Place>): void => {
  queue.places = [...queue.places.filter(({ at }) => at < Number.POSITIVE_INFINITY), ...given]
    .sort((a, b) => a.at - b.at)
  giveBack(queue)
}

/**
 * Lets go whose turn it is, and says whether it was anybody's; returns the places that nobody waits for.
 *
 * @internal
 */
export const advance = (queue: Queue, now: number, offset: number): boolean => {
  let isAny = false
  while (queue.places.length > 0 && queue.places[0]!.at <= now && sizeOf(queue) > 0) {
    const place = queue.places.shift()!
    isAny = true
    if (now - Math.max(place.at, place.heardAt + offset) > MISSED) queue.returned.push(place.id)
    else end(queue, headOf(queue)!, place)
  }
  while (queue.places.length > sizeOf(queue)) queue.returned.push(queue.places.pop()!.id)
  return isAny
}
