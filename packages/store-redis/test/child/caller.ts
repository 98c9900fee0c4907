/**
 * A process of its own: `count` calls, `concurrency` at once, through a limiter that it shares by Redis. Prints one line
 * of JSON when it is ready, waits for a line, and prints what came of the calls.
 */
import { Limiter } from "@effect-dingtalk/http"
import { RedisLimiter } from "@effect-dingtalk/store-redis"
import { Effect } from "effect"
import { Agent, get } from "node:http"

interface Task {
  readonly url: string
  readonly prefix: string
  readonly target: string
  readonly app: string
  readonly count: number
  readonly concurrency: number
  readonly perSecond: number
}

const task: Task = JSON.parse(process.argv[2]!)
const agent = new Agent({ keepAlive: true })

const request = (path: string) =>
  Effect.async<number>((resume) => {
    get(`${task.target}${path}`, { agent }, (response) => {
      response.resume()
      response.on("end", () => resume(Effect.succeed(response.statusCode ?? 0)))
    }).on("error", () => resume(Effect.succeed(0)))
  })

const program = Effect.gen(function*() {
  const limiter = yield* RedisLimiter.make({ url: task.url, prefix: task.prefix })
  const laneOf = (endpoint: string) =>
    Limiter.lane({ host: "https://api.dingtalk.com", app: task.app, endpoint, perSecond: task.perSecond })
  const lane = laneOf("contact.getUser")
  yield* limiter.check(lane)
  // Modules, sockets and compiled code.
  yield* limiter.take(laneOf("warm"), { before: Infinity, again: false })
  yield* request("/warm")
  console.log("ready")
  yield* Effect.async<void>((resume) => {
    process.stdin.once("data", () => resume(Effect.void))
  })
  const statuses: { [status: string]: number } = {}
  yield* Effect.forEach(
    Array.from({ length: task.count }),
    () =>
      limiter.take(lane, { before: Infinity, again: false }).pipe(
        Effect.zipRight(request("/call")),
        Effect.map((status) => void (statuses[status] = (statuses[status] ?? 0) + 1))
      ),
    { concurrency: task.concurrency, discard: true }
  )
  console.log(JSON.stringify(statuses))
})

Effect.runPromise(Effect.scoped(program)).then(() => process.exit(0))
