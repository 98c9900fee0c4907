/**
 * A process of its own, which writes one row and takes one lease per round, at the same time as others. Prints what it won.
 */
import { RedisConnection, RedisTokenStore } from "@effect-dingtalk/store-redis"
import { Duration, Effect } from "effect"

interface Task {
  readonly url: string
  readonly prefix: string
  readonly name: string
  readonly rounds: number
}

const task: Task = JSON.parse(process.argv[2]!)
const hour = Duration.hours(1)

const program = Effect.gen(function*() {
  const backing = RedisTokenStore.backing(yield* RedisConnection.make({ url: task.url }), task.prefix)
  yield* backing.read("warm")
  console.log("ready")
  yield* Effect.async<void>((resume) => {
    process.stdin.once("data", () => resume(Effect.void))
  })
  const won: { rows: Array<number>; leases: Array<number> } = { rows: [], leases: [] }
  for (let round = 0; round < task.rounds; round++) {
    const row = { text: `of ${task.name}`, version: `${task.name}-${round}` }
    const [isWritten, isOurs] = yield* Effect.all([
      backing.write(`row-${round}`, row, { replaces: undefined, keepFor: hour }),
      backing.acquire(`lease-${round}`, task.name, hour)
    ], { concurrency: 2 })
    if (isWritten) won.rows.push(round)
    if (isOurs) won.leases.push(round)
  }
  console.log(JSON.stringify(won))
})

Effect.runPromise(Effect.scoped(program)).then(() => process.exit(0))
