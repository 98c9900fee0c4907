/**
 * Who took a turn, and when.
 */
import { Limiter } from "@effect-dingtalk/http"
import { Effect } from "effect"

export const patient = { before: Infinity, again: false }
export const LIMIT = 20
export const WINDOW = 1035

let apps = 0
export const unusedApp = () => `app-${++apps}`

export const lane = (app: string, endpoint = "contact.getUser", perSecond = LIMIT, host = "https://api.dingtalk.com") =>
  Limiter.lane({ host: `${host}/${app}`, app, endpoint, perSecond })

/** When turns were taken, in milliseconds since the start. */
export const ledger = () => {
  const start = performance.now()
  const times: Array<readonly [name: string, at: number]> = []
  const take = (name: string, limiter: Limiter.Service, of: Limiter.Lane, turn: Limiter.Turn = patient) =>
    Effect.map(limiter.take(of, turn), (waited) => {
      times.push([name, performance.now() - start])
      return waited
    })
  const many = (name: string, limiter: Limiter.Service, of: Limiter.Lane, count: number) =>
    Effect.forEach(Array.from({ length: count }), () => take(name, limiter, of), {
      concurrency: "unbounded",
      discard: true
    })
  const of = (name: string) => times.filter(([each]) => each === name).map(([, at]) => at)
  return { many, now: () => performance.now() - start, of, take, times }
}

/** The most calls within any such time. */
export const most = (times: ReadonlyArray<number>, window: number): number => {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted.reduce((worst, at, i) => {
    let j = i
    while (j < sorted.length && sorted[j]! - at < window) j++
    return Math.max(worst, j - i)
  }, 0)
}
