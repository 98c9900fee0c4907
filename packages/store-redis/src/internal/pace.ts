import * as Command from "./command.js"

/**
 * Gives places in the queue of one lane. All of a host is in one slot of a cluster.
 *
 * `places` holds when each call goes, or went, for as long as it counts; `freed` those of them that were given back and
 * may be had by the next who asks; `waiting` how many more wait in each process.
 *
 * Answers: the time, when one more could go, the milliseconds for which lane, app and host are paused, whether that is a
 * ban, the places, how many wait in each other process, and when those places are that were held before.
 *
 * @internal
 */
export const ASK = /*#__PURE__*/ Command.script(`
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
for i = 4, 6 do
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

/**
 * A pause that lasts longer is not cut short, and one that is a ban stays one.
 *
 * @internal
 */
export const PAUSE = /*#__PURE__*/ Command.script(`
local found = redis.pcall('GET', KEYS[1])
local left = (found == 'pause' or found == 'ban') and redis.call('PTTL', KEYS[1]) or 0
local kind = left > 0 and found == 'ban' and 'ban' or ARGV[1]
redis.call('SET', KEYS[1], kind, 'PX', string.format('%.0f', math.max(left, tonumber(ARGV[2]))))
return 1
`)
