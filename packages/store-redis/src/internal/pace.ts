/**
 * What a process and Redis say to each other about the pace.
 */
import type * as Limiter from "@effect-dingtalk/http/Limiter"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Cluster, Redis } from "ioredis"
import { randomBytes } from "node:crypto"
import * as Command from "./command.js"
import * as Queue from "./queue.js"

/**
 * Gives places in the queue of one lane. All of a host is in one slot of a cluster.
 *
 * `places` holds when each call goes, or went, for as long as it counts; `freed` those of them that were given back and
 * may be had by the next who asks; `waiting` how many more wait in each process.
 *
 * Answers: the time, when one more could go, the milliseconds for which host, app, organisation and lane are paused,
 * whether that is a ban, the places, how many wait in each other process, and when those places are that were held
 * before.
 */
const ASK = /*#__PURE__*/ Command.script(`
local places, freed, waiting = KEYS[1], KEYS[2], KEYS[3]
local limit, window, spacing, horizon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local me, wanted, ahead, serial = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local returned, held = tonumber(ARGV[9]), tonumber(ARGV[10])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

local function text(number) return string.format('%.3f', number) end

local function keep(key, kind)
  local found = redis.call('TYPE', key)['ok']
  if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end

local paused, pauses, ban = 0, {}, 0
for i = 4, #KEYS do
  local found = redis.pcall('GET', KEYS[i])
  local left = 0
  if found == 'pause' or found == 'ban' then left = math.max(0, redis.call('PTTL', KEYS[i])) end
  if found == 'ban' and left > 0 then ban = 1 end
  pauses[i - 3] = left
  if left > 0 then paused = math.max(paused, now + left) end
end

local given, soonest, others, own = {}, now, {}, {}
if limit > 0 then
  keep(places, 'zset')
  keep(freed, 'zset')
  keep(waiting, 'hash')

  local function last()
    local found = redis.call('ZRANGE', places, -1, -1, 'WITHSCORES')
    return found[1], tonumber(found[2] or 0)
  end
  local function forget(id)
    redis.call('ZREM', places, id)
    redis.call('ZREM', freed, id)
  end

  -- The clock was set back.
  local _, tail = last()
  if tail > now + horizon + 5000 then redis.call('DEL', places, freed) end

  for i = 11, 10 + returned do
    local at = tonumber(redis.call('ZSCORE', places, ARGV[i]) or nil)
    if at and at > now then redis.call('ZADD', freed, text(at), ARGV[i]) elseif at then forget(ARGV[i]) end
  end
  -- Calls that went later than they should have: those a window behind them wait for that.
  local moved = 11 + returned + held
  for i = moved, #ARGV, 2 do
    if redis.call('ZSCORE', places, ARGV[i]) then redis.call('ZADD', places, ARGV[i + 1], ARGV[i]) end
  end
  if moved <= #ARGV then
    local all = redis.call('ZRANGE', places, 0, -1, 'WITHSCORES')
    local times = {}
    for i = 1, #all / 2 do
      local at = tonumber(all[i * 2])
      if at > now and i > limit and times[i - limit] + window > at then
        at = times[i - limit] + window
        redis.call('ZADD', places, text(at), all[i * 2 - 1])
        if redis.call('ZSCORE', freed, all[i * 2 - 1]) then redis.call('ZADD', freed, text(at), all[i * 2 - 1]) end
      end
      times[i] = at
    end
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', freed, '-inf', text(now))) do forget(id) end
  local id = last()
  while id and redis.call('ZSCORE', freed, id) do
    forget(id)
    id = last()
  end
  redis.call('ZREMRANGEBYSCORE', places, '-inf', text(now - window))

  local function next()
    local _, tail = last()
    local full = redis.call('ZRANGE', places, -limit, -limit, 'WITHSCORES')[2]
    local room = full and full + window or 0
    if math.max(tail, room, paused) <= now then return now end
    return math.max(now, tail + spacing, room, paused)
  end

  local count = 0
  while count < wanted do
    local id, at
    local found = redis.call('ZRANGEBYSCORE', freed, text(math.max(now, paused)), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if found[1] and ahead > 0 then
      id, at = found[1], tonumber(found[2])
      redis.call('ZREM', freed, id)
    else
      at = next()
      if at > now and (ahead <= 0 or at > now + horizon) then break end
      id = me .. ':' .. serial .. ':' .. count
      redis.call('ZADD', places, text(at), id)
    end
    if at > now then ahead = ahead - 1 end
    count = count + 1
    given[count * 2 - 1], given[count * 2] = id, text(at)
  end
  soonest = next()

  for i = 1, held do own[i] = redis.call('ZSCORE', places, ARGV[10 + returned + i]) or '' end

  local found = redis.call('HGETALL', waiting)
  for i = 1, #found, 2 do
    local number, at = string.match(found[i + 1], '^(%d+) ([%d.]+)$')
    if not at or math.abs(now - at) > 2000 then
      redis.call('HDEL', waiting, found[i])
    elseif found[i] ~= me then
      others[#others + 1] = tonumber(number)
    end
  end
  if wanted > count then
    redis.call('HSET', waiting, me, (wanted - count) .. ' ' .. text(now))
  else
    redis.call('HDEL', waiting, me)
  end
  redis.call('PEXPIRE', waiting, 5000)
  for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], string.format('%.0f', window + horizon + 5000)) end
end
return { text(now), text(soonest), pauses, ban, given, others, own }
`)

// A pause that lasts longer is not cut short, and one that is a ban stays one.
const PAUSE = /*#__PURE__*/ Command.script(`
local found = redis.pcall('GET', KEYS[1])
local left = (found == 'pause' or found == 'ban') and redis.call('PTTL', KEYS[1]) or 0
local kind = left > 0 and found == 'ban' and 'ban' or ARGV[1]
redis.call('SET', KEYS[1], kind, 'PX', string.format('%.0f', math.max(left, tonumber(ARGV[2]))))
return 1
`)

/** So far ahead places are given. */
const HORIZON = 10_000
/** A process that was busy reads what has come meanwhile before it gives up. */
const GRACE = 20

/**
 * What a pause may hold.
 *
 * @internal
 */
export type Scope = "lane" | "tenant" | "app" | "host"

/**
 * The wider ones first: who has been told of these needs not be told of the others.
 *
 * @internal
 */
export const scopes: ReadonlyArray<Scope> = ["host", "app", "tenant", "lane"]

/** @internal */
export interface Keys {
  readonly queue: ReadonlyArray<string>
  readonly pauses: { readonly [K in Scope]: string }
}

/** @internal */
export const keysOf = (prefix: string, lane: Limiter.Lane): Keys => {
  const tenant = lane.tenant === undefined ? lane.app : `${lane.app} of ${lane.tenant}`
  const names = `${tenant} ${lane.api ?? lane.endpoint}`
  const queue = `${prefix}pace:{${lane.host}} ${names}`
  const pause = `${prefix}pause:{${lane.host}}`
  const app = `${pause} ${lane.app} app`
  return {
    queue: [`${queue} places`, `${queue} freed`, `${queue} waiting`],
    pauses: {
      lane: `${pause} ${names} lane`,
      // Where an app names no organisation, to pause its own is to pause the app.
      tenant: lane.tenant === undefined ? app : `${pause} ${tenant} tenant`,
      app,
      host: `${pause} host`
    }
  }
}

type Reply = readonly [
  now: string,
  soonest: string,
  pauses: ReadonlyArray<number>,
  ban: number,
  places: ReadonlyArray<string>,
  others: ReadonlyArray<number>,
  held: ReadonlyArray<string>
]

/**
 * Times are by the clock of Redis.
 *
 * @internal
 */
export interface Answer {
  readonly now: number
  /** when one more could go */
  readonly soonest: number
  /** for how many milliseconds, in the order of `scopes` */
  readonly pauses: ReadonlyArray<number>
  readonly isBan: boolean
  readonly given: ReadonlyArray<Queue.Place>
  /** whether Redis has noted that more wait here */
  readonly isReported: boolean
  /** how many wait in each other process */
  readonly others: ReadonlyArray<number>
}

/** @internal */
export interface Line extends Queue.Queue {
  readonly keys: Keys
}

/** @internal */
export interface Pace {
  /** in milliseconds, by a clock of this process that is never set */
  readonly monotonic: () => number
  /** by how much the clock of Redis is ahead of that: about, and at most; not a number before it first answered */
  readonly offset: () => number
  readonly most: () => number
  /** Asks for places, and tells what was given back and what went late. Those that are held may be put off. */
  readonly ask: (line: Line) => Effect.Effect<Answer, string>
  readonly pause: (key: string, kind: "ban" | "pause", millis: number) => Effect.Effect<void, string>
}

/** @internal */
export const make = (client: Redis | Cluster, clock: Clock.Clock, timeout: Duration.Duration): Pace => {
  const me = randomBytes(9).toString("base64url")
  let serial = 0

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

  const late = Effect.sleep(timeout).pipe(
    Effect.zipRight(Effect.sleep(Duration.millis(GRACE))),
    Effect.zipRight(Effect.fail(`no answer within ${Duration.format(timeout)}`))
  )
  const timely = <A>(effect: Effect.Effect<A, string>): Effect.Effect<A, string> => Effect.raceFirst(effect, late)

  const ask = (line: Line): Effect.Effect<Answer, string> =>
    Effect.suspend(() => {
      const { limit, moved, places, returned, spacing, window } = line
      const held = [...places]
      const wanted = Math.max(0, Queue.sizeOf(line) - held.length)
      line.returned = []
      line.moved = []
      let sentAt = 0
      return Command.run(client, ASK, [...line.keys.queue, ...scopes.map((scope) => line.keys.pauses[scope])], [
        limit,
        window,
        spacing,
        HORIZON,
        me,
        wanted,
        line.ahead - held.length,
        ++serial,
        returned.length,
        held.length,
        ...returned,
        ...held.map(({ id }) => id),
        ...moved
        // Not before there is a connection: the clocks are compared by it.
      ], () => sentAt = monotonic()).pipe(
        timely,
        Effect.map((reply) => {
          const [time, soonest, pauses, ban, places, others, times] = reply as Reply
          const now = Number(time)
          const heardAt = monotonic()
          compare(now, sentAt, heardAt)
          for (const [i, place] of held.entries()) place.at = Number(times[i] || Number.POSITIVE_INFINITY)
          const given: Array<Queue.Place> = []
          for (let i = 0; i < places.length; i += 2) {
            const at = Number(places[i + 1])
            given.push({ id: places[i]!, at, heardAt, isNow: at <= now })
          }
          return {
            now,
            soonest: Number(soonest),
            pauses,
            isBan: ban === 1,
            given,
            isReported: wanted > given.length,
            others
          }
        })
      )
    })

  return {
    monotonic,
    offset: () => (least + most) / 2,
    most: () => most,
    ask,
    pause: (key, kind, millis) => Effect.asVoid(timely(Command.run(client, PAUSE, [key], [kind, Math.ceil(millis)])))
  }
}
